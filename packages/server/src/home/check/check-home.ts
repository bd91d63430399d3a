import { existsSync, rmSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { D4Error } from '@d4ts/protocol';
import type { Logger } from 'pino';
import type { Announcement } from '../../archive/announcement.ts';
import { formatFor } from '../../formats/registry.ts';
import { checkJournal, type FoundAnnouncement, type JournalCheck, mendHeader } from '../../journal/journal-check.ts';
import { sourceTopic } from '../../queues/queues.ts';
import { copyDatabase } from '../../registry/copy-database.ts';
import { inspectDatabase, mendDatabase, type SumsDatabase } from '../../registry/mend-database.ts';
import type { Registry } from '../../registry/port.ts';
import { DATABASE_ENDINGS, databaseBytes } from '../../registry/salvage.ts';
import { filesAside, moveAside } from '../../registry/set-aside.ts';
import { inspectRegistry, openSqliteRegistry } from '../../registry/sqlite.ts';
import { isOpenToOthers } from '../../registry/vault.ts';
import { VERSION } from '../../version.ts';
import { type HomePaths, holdHome, homePaths, inspectHomeFormat, mendHomeFormat } from '../home.ts';
import { inspectIdentity } from '../identity.ts';
import { sumsDatabases } from '../sums-databases.ts';
import { type ArchiveCounts, checkArchivedFile, checkParts } from './archive-check.ts';
import { type CheckedPart, Findings, type HomeCheck } from './findings.ts';

/** What to check, and what to do about it. */
export interface HomeCheckOptions {
  readonly home: string;
  /** The archive's folder, absolute. */
  readonly archiveRoot: string;
  /** Whether to read every file of the archive and to compare its SHA-256. */
  readonly deep: boolean;
  /** Whether to mend what can be mended. */
  readonly repair: boolean;
  readonly log: Logger;
}

const START_RECORDS = 'nothing: the next start of the server sets the bytes aside and records the loss as a gap';

/**
 * Checks a home that no server runs on, every byte of it but the contents of the archive's files. Without `repair` nothing
 * is changed; with it nothing is deleted: what is damaged goes to the home's folder `damaged`.
 * @throws {D4Error} D4_NOT_FOUND (no home), D4_HOME_HELD (a server runs), D4_HOME_FORMAT, D4_JOURNAL_VERSION,
 *   D4_REGISTRY_FORMAT (a newer version wrote it); or errors of the system
 */
export async function checkHome(options: HomeCheckOptions): Promise<HomeCheck> {
  const { home, repair, log } = options;
  const known = homePaths(home);
  if (![known.registry, known.registryCopy, known.journal].some(existsSync)) {
    throw new D4Error('D4_NOT_FOUND', `${home} is no home of a server: say where it is with --home`);
  }
  const { paths, release } = holdHome(home);
  try {
    const findings = new Findings(repair);
    await checkFormatFile(paths, findings);
    await checkKeys(paths, findings);
    const opened = await checkRegistry(paths, findings, options);
    const registry = opened?.registry;
    try {
      const { ledger, threats, sessions } = sumsDatabases(paths);
      await checkSums('ledger', ledger, paths, findings, log);
      await checkSums('threats', threats, paths, findings, log);
      await checkSums('sessions', sessions, paths, findings, log);
      const counts: ArchiveCounts = { files: 0, hashed: 0, outside: 0, firstOutside: undefined };
      const journal = await checkJournalAndFiles(paths, findings, options, registry, counts);
      if (registry !== undefined) checkCursors(paths, registry, journal, findings);
      await checkParts(options.archiveRoot, paths.damaged, findings);
      for (const name of filesAside(paths.damaged)) {
        findings.note('home', `${paths.damaged}/${name}`, 'was set aside: move it away when it is not needed any more');
      }
      const { segments, entries, bytes } = journal;
      const looked = {
        segments,
        entries,
        journalBytes: bytes,
        archivedFiles: counts.files,
        hashedFiles: counts.hashed,
      };
      return { home, version: VERSION, findings: findings.findings, notes: findings.notes, looked };
    } finally {
      await opened?.close();
    }
  } finally {
    release();
  }
}

async function checkFormatFile(paths: HomePaths, findings: Findings): Promise<void> {
  const what = inspectHomeFormat(paths.root);
  if (what === undefined) return;
  const path = `${paths.root}/format`;
  await findings.mendable({ part: 'home', path, what }, 'writes it anew', () => mendHomeFormat(paths.root));
}

async function checkKeys(paths: HomePaths, findings: Findings): Promise<void> {
  const broken = inspectIdentity(paths);
  const isAuthorityWhole =
    existsSync(paths.rootCaKey) &&
    existsSync(paths.rootCaCertificate) &&
    broken.every(({ file }) => file === paths.serverPem);
  for (const { file, what } of broken) {
    const lost = file === paths.serverPem ? 'the certificate of the server' : 'what sensors have pinned';
    if (file === paths.serverPem && isAuthorityWhole) {
      await findings.mendable(
        { part: 'keys', path: file, what },
        'puts it into the folder damaged: the next start makes another, of the same CA, so sensors see no difference',
        () => void moveAside(file, paths.damaged),
      );
    } else findings.damaged({ part: 'keys', path: file, what, lost: `${lost}, unless a backup has it` });
  }
  for (const file of [paths.registryKey, paths.rootCaKey, paths.serverPem, paths.registry]) {
    if (existsSync(file) && isOpenToOthers(file)) findings.note('keys', file, 'can be read by others: chmod 600 it');
  }
}

/** A registry that is only read. */
interface ReadRegistry {
  readonly registry: Registry;
  close(): Promise<void>;
}

/** @returns the registry, where it can be opened */
async function checkRegistry(
  paths: HomePaths,
  findings: Findings,
  { repair, log }: HomeCheckOptions,
): Promise<ReadRegistry | undefined> {
  const { registry: file, registryKey: keyFile, registryCopy: copy, registryKeyCopy: keyCopy, damaged: folder } = paths;
  // A copy, for opening it brings it to the newest format.
  const read = join(paths.root, `.fsck-registry.${process.pid}.new`);
  const open = async (): Promise<ReadRegistry> => {
    const remove = (): void => {
      for (const ending of DATABASE_ENDINGS) rmSync(read + ending, { force: true });
    };
    try {
      await copyDatabase(file, read);
      const registry = await openSqliteRegistry({ file: read, keyFile, log });
      return { registry, close: () => registry.close().finally(remove) };
    } catch (error) {
      remove();
      throw error;
    }
  };
  const rescue = async (): Promise<void> => {
    const mended = await openSqliteRegistry({ file, keyFile, log, rescue: { copy, keyCopy, folder } });
    await mended.close();
  };
  const what = existsSync(file) ? inspectRegistry(file) : ['it is not there'];
  for (const each of what) {
    await findings.mendable(
      { part: 'registry', path: file, what: each, lost: 'of what is damaged, what is not in its last copy either' },
      'keeps it in the folder damaged, and makes it anew of what can be read of it and of its last copy, as the next start would',
      rescue,
    );
  }
  if (what.length > 0 && !repair) return undefined;
  try {
    return await open();
  } catch (error) {
    if (!(error instanceof D4Error) || !['D4_REGISTRY_KEY', 'D4_REGISTRY_DAMAGED'].includes(error.code)) throw error;
    const finding = {
      part: 'registry' as const,
      path: error.code === 'D4_REGISTRY_KEY' ? keyFile : file,
      what: error.message,
    };
    if (!existsSync(keyCopy)) {
      findings.damaged({ ...finding, lost: "the sensors' keys, unless a backup has the key file" });
      return undefined;
    }
    await findings.mendable(finding, 'takes its copy, as the next start would', rescue);
    return repair ? await open() : undefined;
  }
}

async function checkSums(
  part: CheckedPart,
  database: SumsDatabase,
  { damaged }: HomePaths,
  findings: Findings,
  log: Logger,
): Promise<void> {
  const { file } = database;
  if (!existsSync(file) || databaseBytes(file) === 0) return;
  const what = inspectDatabase(database);
  if (what === undefined) return;
  await findings.mendable(
    { part, path: file, what, lost: 'sums that cannot be read; no data of sensors' },
    'keeps it in the folder damaged, and makes it anew of what can be read of it',
    () => void mendDatabase(database, damaged, log, Number.POSITIVE_INFINITY),
  );
}

async function checkJournalAndFiles(
  paths: HomePaths,
  findings: Findings,
  { archiveRoot, deep }: HomeCheckOptions,
  registry: Registry | undefined,
  counts: ArchiveCounts,
): Promise<JournalCheck> {
  const announced: FoundAnnouncement[] = [];
  const journal = await checkJournal(paths.journal, (announcement) => announced.push(announcement));
  for (const { path, what, lost, mend } of journal.damage) {
    const finding = { part: 'journal' as const, path, what, ...(lost !== undefined && { lost }) };
    const index = path.replace(/\.seg$/, '.idx');
    if (mend === 'header') {
      await findings.mendable(finding, 'writes it anew from the other one', () => mendHeader(path));
    } else if (mend === 'index' || mend === 'table') {
      await findings.mendable(finding, 'puts it into the folder damaged: it is made again', () => {
        if (existsSync(path)) moveAside(path, paths.damaged);
      });
    } else if (existsSync(index)) {
      await findings.mendable(
        finding,
        'takes its index away, so that the next start reads it whole, sets the bytes aside and records the loss as a gap',
        () => void moveAside(index, paths.damaged),
      );
    } else findings.damaged({ ...finding, repair: START_RECORDS });
  }
  for (const { path, what } of journal.notes) findings.note('journal', path, what);
  for (const { topic, sequence, body } of announced) {
    const announcement: Announcement = JSON.parse(body);
    if (!isAbsolute(announcement.path)) continue;
    await checkArchivedFile({ topic, sequence, announcement }, archiveRoot, { deep, registry }, findings, counts);
  }
  const { outside, firstOutside } = counts;
  if (firstOutside !== undefined) {
    const what = `${outside} finished files were announced at places outside of this folder, such as ${firstOutside}, and were not looked at: see "Restoring, moving a server" in docs/operations.md`;
    findings.note('archive', archiveRoot, what);
  }
  return journal;
}

/** Cursors of queues that point behind the end of the journal: something of it is gone. */
function checkCursors(paths: HomePaths, registry: Registry, { ends }: JournalCheck, findings: Findings): void {
  for (const [key, cursor] of registry.loadCursors()) {
    const topic = registry.queues.get(key)?.value.topic;
    if (topic === undefined) continue;
    const source = sourceTopic(topic, formatFor(topic));
    const end = ends.get(source) ?? 1;
    if (cursor.sequence <= end) continue;
    findings.damaged({
      part: 'journal',
      path: `${paths.journal}/${source}`,
      what: `queue ${key} has read up to sequence ${cursor.sequence}, but the journal ends at ${end}`,
      lost: `${cursor.sequence - end} entries at the end of the journal; the queue has handed them out already`,
      repair: 'nothing: the next start records the loss as a gap, and goes on above it',
    });
  }
}
