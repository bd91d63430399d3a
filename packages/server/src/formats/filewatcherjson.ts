import { createHash } from 'node:crypto';
import { MAX_FILE_LINE_BYTES } from './filewatcher.ts';
import { linesFormat } from './lines.ts';
import type { RecordContext, RecordFile, Rejection } from './port.ts';
import { textFiles } from './rotation.ts';

/**
 * `filewatcherjson`: each line is a JSON file, which is not parsed. It makes `files/<sha256>.json`, whose path is the
 * item (docs/drop-in.md, Files on disk). A line over the limit is left out.
 */
export const filewatcherjsonFormat = linesFormat(MAX_FILE_LINE_BYTES, {
  name: 'filewatcherjson',
  items: 'files',
  overLimit: 'skip',
  archive: { kind: 'per-record', rejected: textFiles('rejected.txt'), files: filesOf },
});

function filesOf(record: Buffer, { partial }: RecordContext): readonly RecordFile[] | Rejection {
  if (partial) return { rejected: 'the stream ended within the line' };
  return [
    {
      folder: 'sensor',
      path: ['files'],
      stem: createHash('sha256').update(record).digest('hex'),
      extension: 'json',
      named: 'by-content',
      bytes: record,
      compress: false,
      announce: true,
    },
  ];
}
