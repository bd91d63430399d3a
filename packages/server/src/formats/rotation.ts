import type { RotatedArchive } from './port.ts';

const MIB = 1024 * 1024;

/** How text is archived: an hour or 64 MiB in a file (docs/journal.md, rule 28). */
export function textFiles(extension: string): RotatedArchive {
  return { kind: 'rotated', extension, periodMs: 3_600_000, maxBytes: 64 * MIB };
}

/** How captures are archived: 300 s in a file, which is how long its consumers wait for it (rule 28). */
export function captureFiles(extension: string): RotatedArchive {
  return { kind: 'rotated', extension, periodMs: 300_000, maxBytes: 1024 * MIB };
}
