import { D4Error, isMetaTypeName, sensorIdFrom } from '@d4ts/protocol';
import type { ExporterSecrets, ExporterTarget } from '@d4ts/server';
import type { CommandTarget } from '@d4ts/server/export';
import { type Command, InvalidArgumentError, Option } from 'commander';

/** What commander makes of the options of all kinds of exporters. */
export interface TargetFlags {
  readonly ip?: string;
  readonly port?: number;
  readonly rate?: number;
  readonly everyLine?: boolean;
  readonly newline?: boolean;
  readonly keepAlive?: number;
  readonly verify?: boolean;
  readonly ca?: string;
  readonly socket?: string;
  readonly stream?: boolean;
  readonly transport?: 'udp' | 'tcp' | 'tls' | 'unix';
  readonly level?: SyslogTarget['level'];
  readonly facility?: SyslogTarget['facility'];
  readonly rfc3164?: boolean;
  readonly path?: string;
  readonly files?: boolean;
  readonly url?: string;
  readonly header?: readonly string[];
  readonly raw?: boolean;
}

type SyslogTarget = Extract<ExporterTarget, { kind: 'syslog' }>;

/** One kind of exporter on the command line. */
interface KindOfExporter {
  readonly kind: Exclude<CommandTarget['kind'], 'd4'>;
  readonly description: string;
  addOptions(command: Command): Command;
  target(flags: TargetFlags): CommandTarget;
}

const LEVELS = ['emergency', 'alert', 'critical', 'error', 'warning', 'notice', 'info', 'debug'];
const FACILITIES = [
  ...['kern', 'user', 'mail', 'daemon', 'auth', 'syslog', 'lpr', 'news', 'uucp', 'cron', 'authpriv', 'ftp'],
  ...Array.from({ length: 8 }, (_, i) => `local${i}`),
];

/** Every kind but the one to another D4 server, with its options: those of the reference's exporters, and long names. */
export const KINDS: readonly KindOfExporter[] = [
  {
    kind: 'udp',
    description: 'one datagram for each record, with a newline; for Maltrail: -t maltrail -i HOST -p 8337',
    addOptions: (command) =>
      newline(rate(requiredPort(receiver(command)))).option(
        '--every-line',
        'of type maltrail: also lines that are no events, which are left out otherwise',
      ),
    target: ({ ip = '127.0.0.1', port, rate, everyLine }) => ({
      kind: 'udp',
      host: ip,
      port: needed(port, '--port'),
      ...given({ rate, everyLine }),
    }),
  },
  {
    kind: 'tcp',
    description: 'records as lines over TCP',
    addOptions: (command) => newline(keepAlive(requiredPort(receiver(command)))),
    target: ({ ip = '127.0.0.1', port, keepAlive }) => ({
      kind: 'tcp',
      host: ip,
      port: needed(port, '--port'),
      ...given({ keepAlive }),
    }),
  },
  {
    kind: 'tls',
    description: 'records as lines over TLS',
    addOptions: (command) => newline(certificate(keepAlive(requiredPort(receiver(command))))),
    target: ({ ip = '127.0.0.1', port, keepAlive, verify, ca }) => ({
      kind: 'tls',
      host: ip,
      port: needed(port, '--port'),
      ...given({ keepAlive, verify, ca }),
    }),
  },
  {
    kind: 'unix',
    description: 'one datagram for each record to a unix socket, or lines to a stream socket',
    addOptions: (command) =>
      stream(command.option('--socket <path>', 'the socket file (-s)')).option(
        '-n, --newline',
        'a newline at the end of each datagram',
      ),
    target: ({ socket, stream, newline }) => ({
      kind: 'unix',
      path: needed(socket, '--socket'),
      ...given({ stream, newline }),
    }),
  },
  {
    kind: 'syslog',
    description: 'syslog messages over UDP, TCP (octet counting), TLS or a unix socket',
    addOptions: (command) =>
      newline(certificate(keepAlive(rate(stream(receiver(command))))))
        .option('-p, --port <port>', "the receiver's port (default: 514, with TLS 6514)", parsePort)
        .addOption(new Option('--transport <name>', 'how').choices(['udp', 'tcp', 'tls', 'unix']).default('udp'))
        .option('--socket <path>', 'the socket file, for unix (-s; default: /dev/log)')
        .option('--level <name>', 'the severity of all messages (-l; default: info)', oneOf(LEVELS))
        .option('--facility <name>', 'the facility (default: user)', oneOf(FACILITIES))
        .option('--rfc3164', 'the older form of messages, in place of RFC 5424'),
    target: ({
      ip = '127.0.0.1',
      socket,
      port,
      transport,
      level,
      facility,
      rfc3164,
      stream,
      rate,
      keepAlive,
      verify,
      ca,
    }) => ({
      kind: 'syslog',
      host: ip,
      ...given({ transport, port, path: socket, level, facility, rfc3164, stream, rate, keepAlive, verify, ca }),
    }),
  },
  {
    kind: 'stdout',
    description: 'lines on the standard output; with -f the content of the files that records name',
    addOptions: (command) => newline(files(command)),
    target: ({ files }) => ({ kind: 'stdout', ...given({ files }) }),
  },
  {
    kind: 'file',
    description: 'lines at the end of a file or in a named pipe; with -f the content of the files that records name',
    addOptions: (command) => files(command.option('--path <file>', 'the file; one that was moved away is made anew')),
    target: ({ path, files }) => ({ kind: 'file', path: needed(path, '--path'), ...given({ files }) }),
  },
  {
    kind: 'http',
    description: 'lines of JSON in POST requests',
    addOptions: (command) =>
      certificate(
        command
          .option('--url <address>', 'where to: https://host:port/path')
          .option(
            '--header <name: value>',
            'a header of the requests; may be given again. In D4_EXPORT_HEADERS, one on each line, others on the machine cannot read it',
            (text: string, before: string[] = []) => [...before, text],
          )
          .option('--raw', 'records are JSON already: send them as they are'),
      ),
    target: ({ url, raw, verify, ca }) => ({
      kind: 'http',
      url: needed(url, '--url'),
      ...given({ raw, verify, ca }),
    }),
  },
];

/** The secrets among the options. @param more headers, one on each line */
export function secretsOf({ header = [] }: TargetFlags, more = ''): ExporterSecrets {
  const lines = [...header, ...more.split('\n')].filter((line) => line.trim() !== '');
  if (lines.length === 0) return {};
  return {
    headers: Object.fromEntries(
      lines.map((line) => {
        const colon = line.indexOf(':');
        if (colon < 1) throw new D4Error('D4_USAGE', '--header: expected NAME: VALUE');
        return [line.slice(0, colon).trim(), line.slice(colon + 1).trim()];
      }),
    ),
  };
}

/** The options about certificates. */
export function certificate(command: Command): Command {
  return command
    .addOption(
      new Option('--verify <boolean>', "whether the receiver's certificate is checked (default: true)").argParser(
        parseBoolean,
      ),
    )
    .option('--ca <file>', 'the authorities to trust (PEM; -c), in place of those that this machine trusts');
}

function receiver(command: Command): Command {
  return command.option('-i, --ip <address>', "the receiver's IP address or host name", '127.0.0.1');
}

function requiredPort(command: Command): Command {
  return command.option('-p, --port <port>', "the receiver's port", parsePort);
}

function newline(command: Command): Command {
  return command.option('-n, --newline', 'accepted and without effect: a newline is always sent');
}

function rate(command: Command): Command {
  return command.option(
    '--rate <number>',
    'datagrams a second, at most; none for no limit (default: 20000)',
    parseRate,
  );
}

function keepAlive(command: Command): Command {
  return command.option(
    '--keep-alive <seconds>',
    'seconds of silence before TCP asks for the receiver (-k; default: 15)',
    parseSeconds,
  );
}

function stream(command: Command): Command {
  return command.option('--stream', 'the unix socket is a stream socket, not one of datagrams');
}

function files(command: Command): Command {
  return command.option('-f, --files', 'records are paths: the content of those files, decompressed');
}

/** Without what was not given. */
function given<T extends object>(options: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}

function needed<T>(value: T | undefined, option: string): T {
  if (value !== undefined) return value;
  throw new D4Error('D4_USAGE', `required option '${option}' not specified`);
}

export function parseType(text: string): string {
  if (isMetaTypeName(text) || (/^\d{1,3}$/.test(text) && Number(text) <= 255)) return text;
  throw new InvalidArgumentError('Expected a number from 0 to 255, or the name of a meta type.');
}

export function parseQueue(text: string): string {
  const uuid = sensorIdFrom(text);
  if (uuid === undefined)
    throw new InvalidArgumentError('Expected a UUID, with or without dashes: see "d4 queue list".');
  return uuid;
}

export function parsePort(text: string): number {
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port >= 1 && port <= 65_535) return port;
  throw new InvalidArgumentError('Expected a port from 1 to 65535.');
}

function parseRate(text: string): number {
  if (text === 'none') return 0;
  const rate = Number(text);
  if (/^\d+(?:\.\d+)?$/.test(text) && rate > 0) return rate;
  throw new InvalidArgumentError('Expected a number of datagrams a second, more than 0, or none.');
}

function parseSeconds(text: string): number {
  if (/^\d{1,5}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('Expected a whole number of seconds.');
}

/** As the reference's exporter reads it: `false`, `False` and `f` are no. */
function parseBoolean(text: string): boolean {
  const lower = text.toLowerCase();
  if (['false', 'f', 'no', '0'].includes(lower)) return false;
  if (['true', 't', 'yes', '1'].includes(lower)) return true;
  throw new InvalidArgumentError('Expected true or false.');
}

function oneOf(names: readonly string[]): (text: string) => string {
  return (text) => {
    const name = text.toLowerCase();
    if (names.includes(name)) return name;
    throw new InvalidArgumentError(`Expected one of ${names.join(', ')}.`);
  };
}
