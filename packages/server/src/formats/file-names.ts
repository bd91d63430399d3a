const MAX_STEM = 64;
/** No more of a text is looked at. */
const MAX_TEXT = 1024;
const EXTENSION = /^[A-Za-z0-9]{1,10}$/;

/**
 * Reduces a text from a sensor to what is safe as the stem of a file name: letters, digits and `.:+_-`, no dot or dash
 * in front, no two dots in a row, 64 characters at most (docs/journal.md, rule 32).
 * @returns undefined where nothing is left
 */
export function safeStem(text: string): string | undefined {
  const stem = text
    .slice(0, MAX_TEXT)
    .replace(/[^A-Za-z0-9.:+_-]/g, '')
    .replace(/\.{2,}/g, '.')
    .replace(/^[.-]+/, '')
    .slice(0, MAX_STEM);
  return stem === '' ? undefined : stem;
}

/** An extension from a sensor as it is where it is safe, `bin` where it is not (rule 32). */
export function safeExtension(extension: unknown): string {
  return typeof extension === 'string' && EXTENSION.test(extension) ? extension : 'bin';
}
