import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';
import { existingTopics } from '../../journal/files.ts';
import type { Journal } from '../../journal/port.ts';
import { STREAM_TABLE_FILE } from '../../journal/stream-table.ts';
import type { BackupData } from '../../server-facts.ts';
import type { HomePaths } from '../home.ts';

const ANNOUNCEMENTS = 'files/';

/** A file that goes into a backup. */
export interface ContentFile {
  /** Where it is now. */
  readonly file: string;
  /** Its name in the backup, with `/`. */
  readonly name: string;
  /** Only its first bytes: the rest is not committed. All of it, if not given. */
  readonly bytes?: number;
}

/** Files of the home that are small and do not change while it runs, or only as a whole. */
export function settingFiles(paths: HomePaths): ContentFile[] {
  const { root } = paths;
  const files = [
    paths.registryKey,
    paths.serverPem,
    paths.rootCaCertificate,
    paths.rootCaKey,
    paths.defaultPassword,
    join(root, 'd4.yaml'),
    join(root, 'format'),
  ];
  return files.filter(existsSync).map((file) => ({ file, name: relative(root, file) }));
}

/**
 * The segments of the journal, up to what is committed now.
 * @param journal of the running server; undefined where none runs: then all that is there
 */
export async function journalFiles(
  { journal: root }: HomePaths,
  data: BackupData,
  journal: Pick<Journal, 'get'> | undefined,
): Promise<ContentFile[]> {
  if (data === 'none' || !existsSync(root)) return [];
  const files: ContentFile[] = [];
  const topics = await existingTopics(root);
  // Without announcements nobody knows what the archive's files are.
  for (const topic of data === 'archive' ? topics.filter((name) => name.startsWith(ANNOUNCEMENTS)) : topics) {
    const committed = new Map(
      journal
        ?.get(topic)
        ?.segments()
        .map((segment) => [segment.firstSequence, segment]),
    );
    for (const name of (await readdir(join(root, topic))).sort()) {
      const file = join(root, topic, name);
      const content = { file, name: `journal/${topic}/${name}` };
      const segment = committed.get(Number.parseInt(name, 10));
      if (journal !== undefined && segment === undefined && name !== STREAM_TABLE_FILE) continue;
      if (name.endsWith('.seg')) files.push(segment === undefined ? content : { ...content, bytes: segment.bytes });
      else if (name.endsWith('.idx') ? segment?.sealed !== false : name === STREAM_TABLE_FILE) files.push(content);
    }
  }
  return files;
}

/** The archive's finished files. What is not announced yet when the journal was copied is made again from it. */
export async function* archiveFiles(root: string, data: BackupData): AsyncGenerator<ContentFile> {
  if ((data !== 'archive' && data !== 'all') || !existsSync(root)) return;
  for await (const file of filesBelow(root)) {
    if (!file.endsWith('.part')) yield { file, name: `archive/${relative(root, file).split(sep).join('/')}` };
  }
}

async function* filesBelow(folder: string): AsyncGenerator<string> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = join(folder, entry.name);
    // Links are not followed (docs/journal.md, rule 32).
    if (entry.isDirectory()) yield* filesBelow(path);
    else if (entry.isFile()) yield path;
  }
}
