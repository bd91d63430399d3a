import { existsSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { D4Error } from '@d4ts/protocol';
import type { BackupData } from '../../server-facts.ts';
import { holdHome, homePaths } from '../home.ts';
import { backupStream } from './write-backup.ts';

/**
 * A backup of a home that no server runs on; the home is held until the stream has ended.
 * @param archiveRoot absolute
 * @throws {D4Error} D4_NOT_FOUND (no home), D4_HOME_HELD
 */
export function backupHome(home: string, archiveRoot: string, data: BackupData): Readable {
  if (!existsSync(homePaths(home).registry)) {
    throw new D4Error('D4_NOT_FOUND', `${home} is no home of a server: say where it is with --home`);
  }
  const { paths, release } = holdHome(home);
  return backupStream({ paths, archiveRoot, journal: undefined }, data).once('close', release);
}
