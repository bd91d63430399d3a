/**
 * The path that a `file` entry announces (docs/journal.md, rule 29), as bytes.
 * @param body the entry's body: JSON, among others with the absolute `path`
 * @returns undefined where there is none
 */
export function pathIn(body: Buffer): Buffer | undefined {
  try {
    const file: unknown = JSON.parse(body.toString('utf8'));
    if (typeof file !== 'object' || file === null || !('path' in file)) return undefined;
    return typeof file.path === 'string' && file.path !== '' ? Buffer.from(file.path) : undefined;
  } catch {
    return undefined;
  }
}
