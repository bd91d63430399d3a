import { linesFormat, MAX_LINE_BYTES } from './lines.ts';
import { textFiles } from './rotation.ts';

/** JSON lines (wire type 6): a record is a line, which is not parsed. */
export const ndjsonFormat = linesFormat(MAX_LINE_BYTES, { name: 'ndjson', archive: textFiles('ndjson') });
