import { linesFormat, MAX_LINE_BYTES } from './lines.ts';
import { textFiles } from './rotation.ts';

/** passivedns lines (wire type 8), `ts||src||dst||class||q||type||v||ttl||count`, which are not parsed. */
export const passivednsFormat = linesFormat(MAX_LINE_BYTES, {
  name: 'passivedns',
  archive: textFiles('passivedns.txt'),
});
