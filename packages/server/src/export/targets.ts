import { validateHeaderName, validateHeaderValue } from 'node:http';
import { hostname } from 'node:os';
import { D4Error } from '@d4ts/protocol';
import type { ExporterSecrets, ExporterTarget, ExportTargets } from '../registry/exporter.ts';
import { D4Target } from './d4-target.ts';
import { FileOutput } from './file-output.ts';
import { type Framing, lines, octetCounted } from './framing.ts';
import { HttpTarget } from './http-target.ts';
import { checkOutputFile } from './ordinary-file.ts';
import { OutputTarget } from './output-target.ts';
import type { OpenTarget } from './port.ts';
import { StreamTarget } from './stream-target.ts';
import { SyslogMessages } from './syslog-message.ts';
import { DEFAULT_UDP_RATE, UdpTarget } from './udp-target.ts';
import { UnixDatagramTarget } from './unix-datagram-target.ts';

const SYSLOG_PORT = 514;
/** RFC 5425, section 4.1. */
const SYSLOG_TLS_PORT = 6514;
const DEV_LOG = '/dev/log';

/** What a target needs to know beside its settings. */
export interface TargetContext {
  /** The records' type: a number, or a meta type's name. */
  readonly type: string;
  /** This server's name in lists of hops; undefined for a program that is none. */
  readonly self: string | undefined;
  /** The home of the server that exports, where no exporter may write; a program that is none writes where its user may. */
  readonly home?: string | undefined;
}

/**
 * How to open a target by its settings.
 * @throws {D4Error} D4_EXPORT_TARGET where the settings do not go together
 */
export function targetOpener(target: ExporterTarget, secrets: ExporterSecrets, context: TargetContext): OpenTarget {
  switch (target.kind) {
    case 'udp':
      return udp(target);
    case 'tcp':
    case 'tls':
      return stream({ kind: target.kind, address: target, framing: lines });
    case 'unix':
      // As the reference's exporter: a newline only where it is asked for.
      return unix(target, 'unix', (record) => (target.newline === true ? lines([record]) : record), lines);
    case 'syslog':
      return syslog(target, context);
    case 'file':
      return file(target, context);
    case 'http':
      return http(target, secrets, context);
    case 'd4':
      return d4(target, secrets, context);
  }
}

function udp({ host, port, rate = DEFAULT_UDP_RATE }: ExportTargets['udp']): OpenTarget {
  return async (events) => new UdpTarget({ kind: 'udp', host, port, rate, countsLong: true }, events);
}

function stream(options: ConstructorParameters<typeof StreamTarget>[0]): OpenTarget {
  return async (events, max) => new StreamTarget(options, events, max);
}

function unix(
  { path, stream: isStream = false }: { readonly path: string; readonly stream?: boolean },
  kind: string,
  datagram: (record: Buffer) => Buffer,
  framing: Framing,
): OpenTarget {
  if (isStream) return stream({ kind, address: { kind: 'unix', path }, framing });
  return (events, max) => UnixDatagramTarget.open({ kind, path, datagram }, events, max);
}

function syslog(target: ExportTargets['syslog'], { type }: TargetContext): OpenTarget {
  const { transport = 'udp', host, level = 'info', facility = 'user', rfc3164 = false, rate, path = DEV_LOG } = target;
  const from = transport === 'unix' && rfc3164 ? undefined : hostname();
  const messages = new SyslogMessages({ level, facility, rfc3164, host: from, type });
  const message = (record: Buffer) => messages.message(record, Date.now());
  const counted: Framing = (records) => octetCounted(records.map(message));
  const kind = `syslog over ${transport}`;
  if (transport === 'unix') {
    return unix({ path, stream: target.stream === true }, kind, message, (records) => lines(records.map(message)));
  }
  if (host === undefined) throw new D4Error('D4_EXPORT_TARGET', `syslog over ${transport} needs a host`);
  const port = target.port ?? (transport === 'tls' ? SYSLOG_TLS_PORT : SYSLOG_PORT);
  if (transport === 'udp') {
    const options = { kind, host, port, rate: rate ?? DEFAULT_UDP_RATE, datagram: message, countsLong: false };
    return async (events) => new UdpTarget(options, events);
  }
  const { keepAlive, verify, ca } = target;
  const check = { ...(verify !== undefined && { verify }), ...(ca !== undefined && { ca }) };
  const alive = keepAlive !== undefined && { keepAlive };
  return stream({ kind, address: { kind: transport, host, port, ...alive, ...check }, framing: counted });
}

function file({ path, files = false }: ExportTargets['file'], { home }: TargetContext): OpenTarget {
  const check = home === undefined ? undefined : () => checkOutputFile(path, home);
  return async (events) => new OutputTarget((output) => new FileOutput(path, output, check), files, events);
}

function http(
  { url: text, raw = false, ...check }: ExportTargets['http'],
  { headers = {} }: ExporterSecrets,
  { type }: TargetContext,
): OpenTarget {
  const url = parsedUrl(text);
  checkHeaders(headers);
  return (events) => HttpTarget.open({ ...check, url, raw, headers, type }, events);
}

function d4(target: ExportTargets['d4'], { key }: ExporterSecrets, { type, self }: TargetContext): OpenTarget {
  if (key === undefined)
    throw new D4Error('D4_EXPORT_TARGET', 'an exporter to a D4 server needs the key of its sensor');
  return async (events, max) => new D4Target({ ...target, key, type, self }, events, max);
}

/** What the request itself is made with; set by hand, requests would be cut elsewhere than the receiver thinks. */
const OWN_HEADERS: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'expect',
  'host',
  'keep-alive',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** @throws {D4Error} D4_EXPORT_TARGET, never with a value, which may be a secret */
function checkHeaders(headers: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(headers)) {
    const wrong = (why: string) => new D4Error('D4_EXPORT_TARGET', `the header ${JSON.stringify(name)} ${why}`);
    try {
      validateHeaderName(name);
    } catch {
      throw wrong('has no name that HTTP allows');
    }
    if (OWN_HEADERS.has(name.toLowerCase())) throw wrong('is set by the exporter itself: leave it out');
    try {
      validateHeaderValue(name, value);
    } catch {
      throw wrong('has a value that HTTP does not allow: no line breaks or control characters, only Latin-1');
    }
  }
}

function parsedUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !['http:', 'https:'].includes(url.protocol)) {
    throw new D4Error('D4_EXPORT_TARGET', `"${text}" is not an address such as https://host:port/path`);
  }
  if (url.username !== '' || url.password !== '') {
    throw new D4Error('D4_EXPORT_TARGET', 'a password in the address would be shown: give it as a header instead');
  }
  return url;
}
