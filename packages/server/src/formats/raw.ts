import type { Cutter, Format } from './port.ts';
import { textFiles } from './rotation.ts';

const EMPTY = Buffer.alloc(0);
const PIECE_BYTES = 64 * 1024;

const newCutter = (): Cutter => ({
  pendingBytes: 0,
  preamble: EMPTY,
  push(bytes, sink) {
    if (bytes.length > 0) sink.records([bytes], bytes.length, 0);
    return undefined;
  },
  end: () => false,
});

/** Wire types that are not known: kept as they come, divisible anywhere, without items. */
export const rawFormat: Format = {
  name: 'raw',
  items: 'records',
  maxRecordBytes: PIECE_BYTES,
  unfinished: 'record',
  archive: textFiles('bin'),
  newCutter,
  resumeCutter: newCutter,
  recordEnd: (bytes, at) => Math.min(bytes.length, at + PIECE_BYTES),
  itemEnd: (_bytes, start) => start,
};
