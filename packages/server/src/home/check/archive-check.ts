import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Announcement } from '../../archive/announcement.ts';
import { openAnnounced } from '../../archive/file-content.ts';
import type { Registry } from '../../registry/port.ts';
import { moveAside } from '../../registry/set-aside.ts';
import type { Findings } from './findings.ts';

/** An announcement, and where in the journal it stands. */
export interface PlacedAnnouncement {
  readonly topic: string;
  readonly sequence: number;
  readonly announcement: Announcement;
}

/** How many files were looked at. */
export interface ArchiveCounts {
  files: number;
  hashed: number;
  /** Files that were announced at a place outside of the archive's folder, and the first of them. */
  outside: number;
  firstOutside: string | undefined;
}

/**
 * Looks at one finished file: whether it is there, as long as it was announced and, if wanted, the same bytes.
 * @param registry knows what retention has removed; undefined where it cannot be read
 */
export async function checkArchivedFile(
  { topic, sequence, announcement }: PlacedAnnouncement,
  root: string,
  { deep, registry }: { readonly deep: boolean; readonly registry: Registry | undefined },
  findings: Findings,
  counts: ArchiveCounts,
): Promise<void> {
  const { path, sensor, bytes, sha256 } = announcement;
  counts.files += 1;
  const opened = await openAnnounced(root, announcement);
  if (opened === 'outside') {
    counts.outside += 1;
    counts.firstOutside ??= path;
  } else if (opened === 'removed') {
    if (registry?.archive.removalOf(topic, sensor, sequence) !== undefined) return;
    findings.note('archive', path, 'is not there any more: somebody or retention has removed it');
  } else if (opened === 'changed') {
    findings.damaged({
      part: 'archive',
      path,
      what: `is not the file of ${bytes} bytes that was finished: something else is in its place`,
      lost: `bytes ${announcement.from} to ${announcement.to} of stream ${announcement.stream}, unless the journal or a backup has them`,
    });
  } else {
    try {
      if (!deep) return;
      counts.hashed += 1;
      const hash = createHash('sha256');
      await pipeline(opened.createReadStream({ autoClose: false }), hash);
      if (hash.digest('hex') === sha256) return;
      findings.damaged({
        part: 'archive',
        path,
        what: 'has other bytes than those that were finished (SHA-256)',
        lost: `some of the bytes ${announcement.from} to ${announcement.to} of stream ${announcement.stream}, unless the journal or a backup has them`,
      });
    } finally {
      await opened.close();
    }
  }
}

/** Looks for files that were never finished: they are made again from the journal. */
export async function checkParts(root: string, damagedFolder: string, findings: Findings): Promise<void> {
  if (!existsSync(root)) return;
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !entry.name.endsWith('.part')) continue;
    const path = join(entry.parentPath, entry.name);
    await findings.mendable(
      { part: 'archive', path, what: 'was not finished: a crash came before. It is made again from the journal' },
      'puts it into the folder damaged',
      () => void moveAside(path, damagedFolder),
    );
  }
}
