import Type, { type Static, type TSchema } from 'typebox';
import { MAX_PAYLOAD_LIMIT_BYTES } from '../registry/port.ts';
import { DURATION_PATTERN, SIZE_PATTERN } from '../retention/policy.ts';
import type { DeclaredExporter } from './declared-exporters.ts';
import type { HostPort } from './host-port.ts';

/** What a setting's schema says beside its JSON schema: for documentation, `d4 config` and the parsing of text. */
interface SettingNotes {
  readonly description?: string;
  /** Never printed. */
  readonly secret?: boolean;
  /** A HOST:PORT. */
  readonly hostPort?: boolean;
  /** What the text looks like, in words. */
  readonly form?: string;
  readonly default?: unknown;
}

const address = (value: string, description: string) => Type.String({ default: value, description, hostPort: true });

const count = (minimum: number, maximum: number, value: number, description: string) =>
  Type.Integer({ minimum, maximum, default: value, description });

const oneOf = <const W extends string[]>(words: readonly [...W], value: W[number], description: string) =>
  Type.Enum(words, { default: value, description });

/** A length of time; `retention/policy.ts` reads it. */
const duration = (value: string, description: string) =>
  Type.String({
    default: value,
    pattern: DURATION_PATTERN,
    description,
    form: 'a length of time such as 90s, 30m, 24h, 7d, 4w, or none',
  });

/** An amount of bytes; `retention/policy.ts` reads it. */
const size = (value: string, description: string) =>
  Type.String({
    default: value,
    pattern: value === 'auto' ? `${SIZE_PATTERN.slice(0, -2)}|auto)$` : SIZE_PATTERN,
    description,
    form: `a size such as 500MB, 2GiB or 10% of the disk, or ${value === 'auto' ? 'auto' : 'none'}`,
  });

/**
 * Every setting of the server: the one place for what is allowed, the defaults and the documentation. A setting's name
 * in `d4.yaml` is its path in dashed words (`limits.max-payload-bytes`); its variable is the same in capitals with
 * `D4_` in front (`D4_LIMITS_MAX_PAYLOAD_BYTES`).
 */
export const SettingsSchema = Type.Object({
  home: Type.String({
    minLength: 1,
    default: './data',
    description: 'The directory of everything the server keeps. Not in d4.yaml, which lies in it',
  }),
  listen: address('[::]:4443', "The sensors' port (TLS)"),
  web: address('127.0.0.1:7000', 'The HTTP interface (HTTPS)'),
  redis: address('127.0.0.1:6380', "The analyzers' port (Redis protocol)"),
  redisSocket: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 107,
      description:
        'A socket file where analyzers are served as well, for the owner and group of the server; relative to the home',
    }),
  ),
  redisPassword: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 512,
      secret: true,
      description: "The password of the analyzers' port; none is asked for if it is not set",
    }),
  ),
  mode: oneOf(
    ['registration', 'shared-secret'],
    'registration',
    'Whether sensors are registered first, or register themselves with the default key',
  ),
  defaultKey: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 1023,
      secret: true,
      description: 'The HMAC key of sensors without their own, in shared-secret mode',
    }),
  ),
  limits: Type.Object({
    maxPayloadBytes: count(1, MAX_PAYLOAD_LIMIT_BYTES, 1_000_000, "The largest frame's payload, in bytes"),
    unprovedConnections: count(1, 1_000_000, 10_000, 'Connections without a verified frame; the longest idle one goes'),
    unprovedPerAddress: count(1, 1_000_000, 1_000, 'The same for one address (IPv6: one /64)'),
    sessionsSideBySide: count(1, 1_000, 4, 'Sessions of one sensor and type at a time; the least recent one goes'),
  }),
  journal: Type.Object({
    policy: oneOf(
      ['fsync', 'interval', 'os'],
      'fsync',
      'When an append is durable: after a sync, after one each interval, or whenever the system writes',
    ),
  }),
  archive: Type.Object({
    root: Type.Optional(
      Type.String({ minLength: 1, description: 'The folder of the archive; `<home>/archive` if not set' }),
    ),
    paused: Type.Boolean({
      default: false,
      description: 'Whether no files are made: the journal keeps the data for later',
    }),
  }),
  retention: Type.Object({
    rewindAge: duration('24h', 'How much of the past the journal keeps when everybody has had it'),
    rewindSize: size('10%', 'The same in bytes, or of the disk; what is smaller holds'),
    queueAge: duration('7d', 'How long the journal keeps what a queue has not handed out'),
    queueSize: size('10%', 'How much the journal keeps for one queue, in bytes or of the disk'),
    journalTypeSize: size('none', 'What the journal keeps of each type at the most'),
    journalSize: size('none', 'What the journal keeps of all types at the most'),
    archiveAge: duration('none', 'How long files stay in the archive'),
    archiveSensorSize: size('none', 'What the archive keeps of each sensor at the most'),
    archiveTypeSize: size('none', 'What the archive keeps of each type at the most'),
    archiveSize: size('none', 'What the archive keeps at the most'),
    reserve: size('auto', 'What stays free on each disk; auto: 1 GiB or 2 %, what is more, but at most 10 %'),
    reserveInodes: Type.String({
      default: 'auto',
      pattern: '^(auto|[0-9]{1,12})$',
      form: 'a whole number, or auto',
      description: 'Inodes that stay free on each disk; auto: 10,000, but at most 5 %',
    }),
  }),
  sessions: Type.Object({
    idleMinutes: count(5, 43_200, 60, 'Who is signed in to the pages and does nothing is signed out after so long'),
    hours: count(1, 720, 12, 'Everybody signs in again after so long'),
  }),
  alerts: Type.Object({
    webhook: Type.Optional(
      Type.String({
        pattern: '^https?://[^\\s]+$',
        maxLength: 2_000,
        secret: true,
        form: 'an address that begins with https:// or http://',
        description: 'Where alerts are posted to, as JSON',
      }),
    ),
    gatherSeconds: count(0, 3_600, 30, 'Sensors that fall silent within so long are one alert'),
    smtp: Type.Object({
      host: Type.Optional(Type.String({ minLength: 1, maxLength: 253, description: 'The mail server for alerts' })),
      port: count(1, 65_535, 587, 'Its port'),
      tls: oneOf(['starttls', 'implicit', 'none'], 'starttls', 'How the connection to it is protected'),
      user: Type.Optional(
        Type.String({ minLength: 1, maxLength: 320, description: 'Who signs in there; nobody if not set' }),
      ),
      password: Type.Optional(
        Type.String({ minLength: 1, maxLength: 512, secret: true, description: 'The password of that user' }),
      ),
      from: Type.Optional(Type.String({ minLength: 3, maxLength: 320, description: 'The sender of alerts' })),
      to: Type.Optional(
        Type.String({ minLength: 3, maxLength: 2_000, description: 'Who gets alerts; commas between them' }),
      ),
    }),
  }),
  metrics: Type.Object({
    open: Type.Boolean({
      default: false,
      description: 'Whether /metrics can be read from this machine (loopback) without a token',
    }),
  }),
  log: Type.Object({
    level: oneOf(['error', 'warn', 'info', 'debug', 'trace'], 'info', 'The least level of what is logged'),
  }),
});

/** All settings, as text and numbers. */
export type Settings = Static<typeof SettingsSchema>;

/** Where a setting's value came from. */
export type SettingSource =
  | { readonly kind: 'default' }
  | { readonly kind: 'file'; readonly file: string }
  | { readonly kind: 'variable'; readonly variable: string }
  | { readonly kind: 'flag'; readonly flag: string };

/** What holds: the settings with their addresses parsed and the home as an absolute path. */
export interface Config extends Omit<Settings, 'listen' | 'web' | 'redis'> {
  readonly listen: HostPort;
  readonly web: HostPort;
  readonly redis: HostPort;
  /** Those that d4.yaml declares. */
  readonly exporters: readonly DeclaredExporter[];
  /** Where each value came from, by the setting's name (`limits.max-payload-bytes`). */
  readonly sources: ReadonlyMap<string, SettingSource>;
}

/** One setting of the schema. */
export interface Setting {
  /** Path of its property. */
  readonly path: readonly string[];
  /** Name in `d4.yaml`, with a dot between section and setting. */
  readonly name: string;
  /** Name of its environment variable. */
  readonly variable: string;
  /** Its flag of `d4 server`, if it has one: settings in sections have none. */
  readonly flag: string | undefined;
  readonly schema: TSchema;
  readonly description: string;
  readonly secret: boolean;
  readonly hostPort: boolean;
  readonly form: string | undefined;
  readonly defaultValue: unknown;
}

/** Every setting of the schema, in its order. */
export function allSettings(): Setting[] {
  return settingsOf(SettingsSchema, []);
}

function settingsOf(schema: TSchema, path: readonly string[]): Setting[] {
  if (!Type.IsObject(schema)) return [settingOf(schema, path)];
  return Object.entries(schema.properties).flatMap(([key, value]) => settingsOf(value, [...path, key]));
}

function settingOf(schema: TSchema & SettingNotes, path: readonly string[]): Setting {
  const name = path.map(dashed).join('.');
  return {
    path,
    name,
    variable: `D4_${name.replaceAll(/[.-]/g, '_').toUpperCase()}`,
    flag: path.length === 1 ? `--${name}` : undefined,
    schema,
    description: schema.description ?? '',
    secret: schema.secret ?? false,
    hostPort: schema.hostPort ?? false,
    form: schema.form,
    defaultValue: schema.default,
  };
}

function dashed(word: string): string {
  return word.replaceAll(/[A-Z]/g, (capital) => `-${capital.toLowerCase()}`);
}
