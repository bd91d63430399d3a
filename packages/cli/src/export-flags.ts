/** Spellings of the reference's exporters (docs/drop-in.md), and the long options that they stand for. */
const FLAGS: ReadonlyMap<string, string> = new Map([
  ['-t', '--type'],
  ['-u', '--queue'],
  ['--uuid', '--queue'],
  ['-i', '--ip'],
  ['-p', '--port'],
  ['-n', '--newline'],
  ['-ri', '--redis-host'],
  ['--redis_ip', '--redis-host'],
  ['-rp', '--redis-port'],
  ['--redis_port', '--redis-port'],
]);

/**
 * Rewrites the flags of the reference's exporters (`-ri HOST`, `-rp=6380`) to long options, before a command line
 * parser that would read `-ri` as `-r i` sees them. Everything else, and everything after `--`, stays as it is; a second
 * rewriting changes nothing.
 *
 * @param words the words after `export`
 */
export function rewriteExportFlags(words: readonly string[]): string[] {
  const end = words.indexOf('--');
  const flags = end < 0 ? words : words.slice(0, end);
  const rewritten = flags.map((word) => {
    const equals = word.indexOf('=');
    const long = FLAGS.get(equals < 0 ? word : word.slice(0, equals));
    if (long === undefined) return word;
    return equals < 0 ? long : `${long}${word.slice(equals)}`;
  });
  return [...rewritten, ...words.slice(flags.length)];
}
