/** One flag of the Go client: its long name with us, and whether it is a boolean, as Go's flag package knows them. */
interface GoFlag {
  readonly long: string;
  readonly boolean: boolean;
}

const GO_FLAGS: ReadonlyMap<string, GoFlag> = new Map([
  ['c', { long: 'config', boolean: false }],
  ['cc', { long: 'check-certificate', boolean: true }],
  ['ce', { long: 'tls', boolean: true }],
  ['cka', { long: 'keep-alive', boolean: false }],
  ['ct', { long: 'connect-timeout', boolean: false }],
  ['rl', { long: 'poll-interval', boolean: false }],
  ['rt', { long: 'retry', boolean: false }],
  ['v', { long: 'verbose', boolean: true }],
  ['tor', { long: 'tor', boolean: true }],
  ['daily', { long: 'daily', boolean: true }],
  ['json', { long: 'json', boolean: true }],
]);

const BOOLEANS: ReadonlyMap<string, boolean> = new Map([
  ['1', true],
  ['t', true],
  ['T', true],
  ['true', true],
  ['TRUE', true],
  ['True', true],
  ['0', false],
  ['f', false],
  ['F', false],
  ['false', false],
  ['FALSE', false],
  ['False', false],
]);

/** What a boolean may look like, for error messages. */
export const BOOLEAN_FORM = 'true or false (or 1, 0, t, f)';

/** Reads a boolean as Go's flag package does; undefined where the text is none. */
export function parseGoBoolean(text: string): boolean | undefined {
  return BOOLEANS.get(text);
}

/**
 * Rewrites the Go client's flags (`-cc=false`, `--rt 5s`, `-v`) to this client's long options (`--name=value`), before
 * a command line parser that would read `-cc` as `-c c` sees them. Everything else, and everything after `--`, stays as
 * it is; a second rewriting changes nothing.
 *
 * @param words the words after `client`
 */
export function rewriteGoFlags(words: readonly string[]): string[] {
  const rewritten: string[] = [];
  for (let i = 0; i < words.length; i++) {
    const word = words[i] as string;
    if (word === '--') return [...rewritten, ...words.slice(i)];
    const match = /^--?([a-z]+)(?:=(.*))?$/s.exec(word);
    const flag = match === null ? undefined : GO_FLAGS.get(match[1] as string);
    if (match === null || flag === undefined) {
      rewritten.push(word);
      continue;
    }
    let value = match[2];
    const next = words[i + 1];
    if (value === undefined && next !== undefined && (!flag.boolean || BOOLEANS.has(next))) {
      value = next;
      i++;
    }
    if (value === undefined && flag.boolean) value = 'true';
    rewritten.push(value === undefined ? `--${flag.long}` : `--${flag.long}=${value}`);
  }
  return rewritten;
}
