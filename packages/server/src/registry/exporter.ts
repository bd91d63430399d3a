import type { SensorId } from '@d4ts/protocol';
import Type, { type Static, type TSchema } from 'typebox';

/*
 * What an exporter is told, the same on the command line, in d4.yaml, in the HTTP interface and in the registry. Each
 * schema has the meaning of its properties.
 */

/** How the address of an HTTP target begins. */
export const HTTP_ADDRESS = '^https?://';

const text = (description: string) => Type.String({ minLength: 1, maxLength: 4_096, description });
const host = Type.String({ minLength: 1, maxLength: 253, description: 'A host name, or an IPv4 or IPv6 address' });
const port = Type.Integer({ minimum: 1, maximum: 65_535 });
const rate = Type.Optional(
  Type.Number({ minimum: 0, description: 'Datagrams a second at the most; 20,000 if not given, 0 for no limit' }),
);
const keepAlive = Type.Optional(
  Type.Integer({
    minimum: 0,
    maximum: 86_400,
    description: 'Seconds of silence before TCP asks for the other side; 0: never',
  }),
);
const check = {
  verify: Type.Optional(Type.Boolean({ description: 'Whether the certificate is checked; it is if not given' })),
  ca: Type.Optional(text("A file with the authorities to trust (PEM), on the exporter's machine")),
};
const words = <const W extends readonly string[]>(options: W, description: string) =>
  Type.Unsafe<W[number]>({ ...Type.String({ description }), enum: [...options] });

/** A target's settings; its title names it in the description of the HTTP interface. */
function target<K extends string, P extends Record<string, TSchema>>(kind: K, properties: P) {
  const title = `${kind[0]?.toUpperCase()}${kind.slice(1)}Target`;
  return Type.Object({ kind: Type.Literal(kind), ...properties }, { title, additionalProperties: false });
}

const SYSLOG_LEVEL_NAMES = ['emergency', 'alert', 'critical', 'error', 'warning', 'notice', 'info', 'debug'] as const;
const SYSLOG_FACILITY_NAMES = [
  'kern',
  'user',
  'mail',
  'daemon',
  'auth',
  'syslog',
  'lpr',
  'news',
  'uucp',
  'cron',
  'authpriv',
  'ftp',
  'local0',
  'local1',
  'local2',
  'local3',
  'local4',
  'local5',
  'local6',
  'local7',
] as const;

/** Every target that an exporter can have, by `kind`. */
export const EXPORT_TARGETS = {
  udp: target('udp', {
    host,
    port,
    rate,
    everyLine: Type.Optional(
      Type.Boolean({ description: 'Of type maltrail: also lines that are no events, which are left out if not given' }),
    ),
  }),
  tcp: target('tcp', { host, port, keepAlive }),
  tls: target('tls', { host, port, keepAlive, ...check }),
  unix: target('unix', {
    path: text('The socket file'),
    stream: Type.Optional(Type.Boolean({ description: 'It is a stream socket, not one of datagrams' })),
    newline: Type.Optional(Type.Boolean({ description: 'Datagrams end with a newline; on a stream each record does' })),
  }),
  syslog: target('syslog', {
    transport: Type.Optional(words(['udp', 'tcp', 'tls', 'unix'], 'How; udp if not given')),
    host: Type.Optional(host),
    port: Type.Optional(port),
    path: Type.Optional(text('The socket file, for unix; /dev/log if not given')),
    stream: Type.Optional(Type.Boolean({ description: 'The unix socket is a stream socket' })),
    rate,
    keepAlive,
    ...check,
    level: Type.Optional(words(SYSLOG_LEVEL_NAMES, 'The severity of all messages; info if not given')),
    facility: Type.Optional(words(SYSLOG_FACILITY_NAMES, 'user if not given')),
    rfc3164: Type.Optional(Type.Boolean({ description: 'The older form of messages, in place of RFC 5424' })),
  }),
  file: target('file', {
    path: text('The file to append to, or a named pipe'),
    files: Type.Optional(Type.Boolean({ description: 'Records are paths: the content of those files, decompressed' })),
  }),
  http: target('http', {
    url: Type.String({ pattern: HTTP_ADDRESS, maxLength: 4_096, description: 'Where to POST' }),
    raw: Type.Optional(Type.Boolean({ description: 'Records are JSON already and are sent as they are' })),
    ...check,
  }),
  d4: target('d4', {
    host,
    port,
    sensor: Type.String({ description: 'The UUID of the sensor as which this server is registered there' }),
    ...check,
  }),
} as const;

export const ExporterTarget = Type.Union([
  EXPORT_TARGETS.udp,
  EXPORT_TARGETS.tcp,
  EXPORT_TARGETS.tls,
  EXPORT_TARGETS.unix,
  EXPORT_TARGETS.syslog,
  EXPORT_TARGETS.file,
  EXPORT_TARGETS.http,
  EXPORT_TARGETS.d4,
]);
export type ExportTargets = { [K in keyof typeof EXPORT_TARGETS]: Static<(typeof EXPORT_TARGETS)[K]> };
export type ExporterKind = keyof ExportTargets;
export type ExporterTarget = ExportTargets[ExporterKind];

/** What must not be shown: the headers of an HTTP target, the key of the sensor of a D4 target. */
export const ExporterSecrets = Type.Object(
  {
    headers: Type.Optional(
      Type.Record(Type.String(), Type.String(), { description: 'Headers of the requests, for http' }),
    ),
    key: Type.Optional(Type.String({ minLength: 1, maxLength: 1_023, description: "The sensor's key, for d4" })),
  },
  { additionalProperties: false },
);
export type ExporterSecrets = Static<typeof ExporterSecrets>;

/** An exporter's name: also part of the key of its cursor. */
export const EXPORTER_NAME = '^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$';

/** An exporter of the server. Key: its name. */
export interface ExporterDefinition {
  readonly name: string;
  readonly topic: string;
  readonly sensors: 'all' | readonly SensorId[];
  readonly description: string;
  readonly target: ExporterTarget;
  /** `ExporterSecrets` as JSON; encrypted where it is stored. */
  readonly secrets: string;
  readonly paused: boolean;
  /** Comes from d4.yaml, and is changed there. */
  readonly declared: boolean;
  /** ms since 1970 */
  readonly createdAt: number;
}
