import { createHash } from 'node:crypto';
import { decodeBase64 } from './base64.ts';
import { safeExtension } from './file-names.ts';
import { linesFormat } from './lines.ts';
import type { RecordContext, RecordFile, Rejection } from './port.ts';
import { textFiles } from './rotation.ts';

/** The largest record of the file watchers, its `\n` included, in bytes (docs/journal.md, rule 7). */
export const MAX_FILE_LINE_BYTES = 64 * 1024 * 1024;

/**
 * `filewatcher`: each line is a file in base64. It makes `files/<sha256>.<extension>`, whose path is the item. The meta
 * header says `extension`, whether to `compress`, and with `segregate: false` that the folder is shared by all sensors
 * (docs/drop-in.md, Files on disk). A line over the limit is left out: a part of it would be another file.
 */
export const filewatcherFormat = linesFormat(MAX_FILE_LINE_BYTES, {
  name: 'filewatcher',
  items: 'files',
  overLimit: 'skip',
  archive: { kind: 'per-record', rejected: textFiles('rejected.txt'), files: filesOf },
});

function filesOf(record: Buffer, { metaHeader, partial }: RecordContext): readonly RecordFile[] | Rejection {
  if (partial) return { rejected: 'the stream ended within the line' };
  const bytes = decodeBase64(record);
  if (bytes === undefined) return { rejected: 'not base64' };
  const settings = settingsIn(metaHeader);
  return [
    {
      folder: settings.segregate === false ? 'shared' : 'sensor',
      path: ['files'],
      stem: createHash('sha256').update(bytes).digest('hex'),
      extension: safeExtension(settings.extension),
      named: 'by-content',
      bytes,
      compress: settings.compress === true,
      announce: true,
    },
  ];
}

/** The meta header's settings, of any type; none where it is no object. */
function settingsIn(metaHeader: string | undefined): { extension?: unknown; compress?: unknown; segregate?: unknown } {
  if (metaHeader === undefined) return {};
  try {
    const value: unknown = JSON.parse(metaHeader);
    return typeof value === 'object' && value !== null ? value : {};
  } catch {
    return {};
  }
}
