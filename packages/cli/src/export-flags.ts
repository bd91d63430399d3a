/** Spellings of the reference's exporters (docs/drop-in.md), and the long options that they stand for. */
const SHARED: Readonly<Record<string, string>> = {
  '-t': '--type',
  '-u': '--queue',
  '--uuid': '--queue',
  '-i': '--ip',
  '-p': '--port',
  '-n': '--newline',
  '-s': '--socket',
  '-k': '--keep-alive',
  '--Keepalive': '--keep-alive',
  '-c': '--ca',
  '--ca_certs': '--ca',
  '--verify_certificate': '--verify',
  '-l': '--level',
  '--log_level': '--level',
  '-f': '--files',
  '-ri': '--redis-host',
  '--redis_ip': '--redis-host',
  '-rp': '--redis-port',
  '--redis_port': '--redis-port',
};

/** What single exporters mean by the same letters. */
const OWN: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  tls: { '-v': '--verify' },
  stdout: { '-i': '--redis-host', '--ip': '--redis-host', '-p': '--redis-port', '--port': '--redis-port' },
  d4: { '-c': '--config' },
};

/**
 * Rewrites the flags of the reference's exporters (`-ri HOST`, `-rp=6380`) to long options, before a command line
 * parser that would read `-ri` as `-r i` sees them. Everything else, and everything after `--`, stays as it is; a second
 * rewriting changes nothing.
 *
 * @param kind the exporter: `udp`, `tls`, …
 * @param words the words after it
 */
export function rewriteExportFlags(kind: string, words: readonly string[]): string[] {
  const flags = { ...SHARED, ...OWN[kind] };
  const end = words.indexOf('--');
  const rewritten = (end < 0 ? words : words.slice(0, end)).map((word) => {
    const equals = word.indexOf('=');
    const name = equals < 0 ? word : word.slice(0, equals);
    const long = Object.hasOwn(flags, name) ? flags[name] : undefined;
    if (long === undefined) return word;
    return equals < 0 ? long : `${long}${word.slice(equals)}`;
  });
  return [...rewritten, ...words.slice(rewritten.length)];
}
