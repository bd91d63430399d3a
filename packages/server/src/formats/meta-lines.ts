import { linesFormat, MAX_LINE_BYTES } from './lines.ts';
import { textFiles } from './rotation.ts';

/** Meta types of lines: `maltrail`, `suricata-eve`, `d4-telemetry`, `fascia`, and every one that is not known. */
export const metaLinesFormat = linesFormat(MAX_LINE_BYTES, { name: 'meta-lines', archive: textFiles('txt') });
