import type { Schemas } from '../../api/client.ts';

/** Where an exporter sends to. */
export type Target = Schemas['Exporter']['target'];
/** What kind of target. */
export type TargetKind = Target['kind'];

/** A setting of a target, as it is asked for. */
export interface TargetField {
  readonly name: string;
  readonly label: string;
  readonly input: 'text' | 'number' | 'switch' | 'choice';
  readonly required?: boolean;
  readonly description?: string;
  readonly choices?: readonly string[];
  /** What a switch says where nothing is set. */
  readonly otherwise?: boolean;
}

/** What somebody typed, by the name of the field. */
export type TargetValues = Readonly<Record<string, string | boolean>>;

const host: TargetField = { name: 'host', label: 'Host', input: 'text', required: true };
const port: TargetField = { name: 'port', label: 'Port', input: 'number', required: true };
const keepAlive: TargetField = {
  name: 'keepAlive',
  label: 'Keep-alive',
  input: 'number',
  description: 'Seconds of silence before the other side is asked; 0: never',
};
const rate: TargetField = {
  name: 'rate',
  label: 'Datagrams a second',
  input: 'number',
  description: 'At the most; 20,000 if empty, 0 for no limit',
};
const verify: TargetField = { name: 'verify', label: 'Check the certificate', input: 'switch', otherwise: true };
const ca: TargetField = {
  name: 'ca',
  label: 'File with authorities',
  input: 'text',
  description: "PEM, on the server's machine; the system's own if empty",
};
const LEVELS = ['emergency', 'alert', 'critical', 'error', 'warning', 'notice', 'info', 'debug'];
const FACILITIES = [
  ...['kern', 'user', 'mail', 'daemon', 'auth', 'syslog', 'lpr', 'news', 'uucp', 'cron', 'authpriv', 'ftp'],
  ...['local0', 'local1', 'local2', 'local3', 'local4', 'local5', 'local6', 'local7'],
];

/** What each kind of target is told, in the order in which it is asked for. */
export const TARGET_FIELDS: Readonly<Record<TargetKind, readonly TargetField[]>> = {
  udp: [host, port, rate, { name: 'everyLine', label: 'Of Maltrail, also lines that are no events', input: 'switch' }],
  tcp: [host, port, keepAlive],
  tls: [host, port, verify, ca, keepAlive],
  unix: [
    { name: 'path', label: 'Socket file', input: 'text', required: true },
    { name: 'stream', label: 'A stream socket, not one of datagrams', input: 'switch' },
    { name: 'newline', label: 'End each record with a newline', input: 'switch' },
  ],
  syslog: [
    { name: 'transport', label: 'By', input: 'choice', choices: ['udp', 'tcp', 'tls', 'unix'] },
    { ...host, required: false },
    { ...port, required: false },
    { name: 'path', label: 'Socket file, for unix', input: 'text' },
    { name: 'stream', label: 'The socket is a stream socket', input: 'switch' },
    { name: 'facility', label: 'Facility', input: 'choice', choices: FACILITIES },
    { name: 'level', label: 'Severity', input: 'choice', choices: LEVELS },
    { name: 'rfc3164', label: 'The older form of messages (RFC 3164)', input: 'switch' },
    rate,
    keepAlive,
    verify,
    ca,
  ],
  file: [
    {
      name: 'path',
      label: 'File',
      input: 'text',
      required: true,
      description: "On the server's machine: appended to, or a named pipe",
    },
    { name: 'files', label: 'Records are paths: write the content of those files', input: 'switch' },
  ],
  http: [
    { name: 'url', label: 'Address', input: 'text', required: true, description: 'Records are posted to it' },
    { name: 'raw', label: 'Records are JSON already: send them as they are', input: 'switch' },
    verify,
    ca,
  ],
  d4: [
    host,
    port,
    { name: 'sensor', label: 'Uuid of the sensor that this server is there', input: 'text', required: true },
    verify,
    ca,
  ],
};

/** How the kinds are called. */
export const KIND_NAMES: Readonly<Record<TargetKind, string>> = {
  udp: 'UDP: a datagram for each record',
  tcp: 'TCP',
  tls: 'TLS',
  unix: 'Unix socket',
  syslog: 'Syslog',
  file: 'File or named pipe',
  http: 'HTTP: posts of JSON',
  d4: 'Another D4 server',
};

/** A target as it stands in the form. */
export function valuesOf(target: Target): TargetValues {
  return Object.fromEntries(
    Object.entries(target).map(([name, value]) => [name, typeof value === 'number' ? String(value) : value]),
  );
}

/** What is missing, by the name of the field. */
export function missingIn(kind: TargetKind, values: TargetValues): Readonly<Record<string, string>> {
  const wrong: Record<string, string> = {};
  for (const { name, input, required } of TARGET_FIELDS[kind]) {
    const value = String(values[name] ?? '').trim();
    if (value === '' && required) wrong[name] = 'This is needed';
    if (value !== '' && input === 'number' && !/^\d+$/.test(value)) wrong[name] = 'A whole number';
  }
  return wrong;
}

/** The target that was filled in; what is empty is left to the server. */
export function targetOf(kind: TargetKind, values: TargetValues): Target {
  const settings: Record<string, string | number | boolean> = {};
  for (const { name, input, otherwise = false } of TARGET_FIELDS[kind]) {
    const value = values[name];
    if (input === 'switch') {
      if (typeof value === 'boolean' && value !== otherwise) settings[name] = value;
      continue;
    }
    const text = String(value ?? '').trim();
    if (text !== '') settings[name] = input === 'number' ? Number(text) : text;
  }
  // The server checks it against the schema of the kind.
  return { kind, ...settings } as Target;
}

/** A target in a few words: `udp 192.0.2.1:514`. */
export function targetText(target: Target): string {
  switch (target.kind) {
    case 'http':
      return target.url;
    case 'file':
    case 'unix':
      return `${target.kind} ${target.path}`;
    case 'syslog': {
      const { transport = 'udp', host: at, port: on, path } = target;
      return transport === 'unix'
        ? `syslog ${path ?? '/dev/log'}`
        : `syslog, ${transport} ${at ?? ''}${on === undefined ? '' : `:${on}`}`;
    }
    default:
      return `${target.kind} ${target.host.includes(':') ? `[${target.host}]` : target.host}:${target.port}`;
  }
}

/** Headers as they are typed: `Name: value`, one a line. @returns undefined where a line is none */
export function headersIn(text: string): Record<string, string> | undefined {
  const headers: Record<string, string> = {};
  for (const line of text.split('\n').filter((each) => each.trim() !== '')) {
    const colon = line.indexOf(':');
    if (colon < 1) return undefined;
    headers[line.slice(0, colon).trim()] = line.slice(colon + 1).trim();
  }
  return headers;
}
