/*
 * Examples for the description of the interface: one for each body and each answer, composed from the schemas. A schema's own
 * `examples` win; else texts are known by the name of their property, here, and numbers follow from what they are.
 */

const UUID = '5f2b3c1e-8d44-4c36-9a1f-0c1d2e3f4a5b';
const QUEUE = '0c7e3c52-5a8e-4f4e-9a55-7d0c2b6f1e11';
const SHA256 = '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08';
const TIME = 1_790_000_000_000;
const PEM = '-----BEGIN CERTIFICATE-----\nMIIB…\n-----END CERTIFICATE-----\n';

/** Texts, and numbers that are not what their names say, by the name of the property. */
const BY_NAME: Readonly<Record<string, unknown>> = {
  add: UUID,
  address: '192.0.2.7',
  author: 'ann@example.org',
  ageRulesPaused: 'the clock went back',
  by: 'ann@example.org',
  ca: PEM,
  cause: 'client-lost',
  certificateSha256: SHA256,
  claimed: UUID,
  code: 'D4_NOT_FOUND',
  csrfToken: 'bW9vbiByaXZlciBzdG9uZQ',
  current: 'quiet harbour violin lantern',
  data: '2026-10-01 08:30:00 one line',
  description: 'Name servers of the north site',
  disk: '/var/lib/d4',
  error: 'no space left on device',
  group: UUID,
  headers: 'authorization',
  'headers[]': 'Bearer 0123456789abcdef',
  hmac_key: 'a key of its own',
  home: '/var/lib/d4',
  host: 'collector.example.org',
  id: 'b7e1c0',
  issuer: 'CN=D4 sensors',
  key: 'a key of its own',
  lastAddress: '192.0.2.7',
  line: '"2026-10-01 08:30:00.123456" north 198.51.100.7 40112 203.0.113.9 80 TCP IP 203.0.113.9 malware (static)',
  listen: '0.0.0.0:4443',
  mail: 'ann@example.org',
  message: 'there is no sensor 5f2b3c1e-8d44-4c36-9a1f-0c1d2e3f4a5b',
  name: 'north',
  names: 'collector.example.org',
  'names[]': 'north',
  next: 'WyJub3J0aCIsIjVmMmIzYzFlIl0',
  note: 'older than the age limit',
  of: UUID,
  password: 'quiet harbour violin lantern',
  path: '/var/lib/d4/out.log',
  pem: PEM,
  previous: '0123456789abcdef0123456789abcdef',
  problem: 'nobody listens at collector.example.org:514',
  queue: QUEUE,
  reason: 'sends what it should not',
  redis: '127.0.0.1:6380',
  remark: 'waits for the target',
  remove: UUID,
  root: '/var/lib/d4/archive',
  secret: 'd4_kT1x9w2mQbV7f0ZsR8hLcA5eYpNuGj',
  sensor: UUID,
  sensorName: 'north',
  sensors: UUID,
  server: 'collector.example.org:4443',
  sessionId: 'c2Vzc2lvbg',
  sha256: SHA256,
  silent: UUID,
  source: 'default',
  stream: '0123456789abcdef0123456789abcdef',
  subject: 'CN=collector.example.org',
  summary: '3 sensors of site-north are silent',
  suspectedClones: UUID,
  tag: 'uplink',
  tags: 'uplink',
  target: '192.0.2.0/24',
  text: 'connection refused',
  title: 'lines of text',
  topic: '3',
  type: '3',
  unknown: '18233.4-1',
  url: 'https://collector.example.org/in',
  user: 'ann@example.org',
  userAgent: 'Mozilla/5.0',
  uuid: UUID,
  uuids: UUID,
  value: 'uplink',
  version: '0.1.0',
  waitsFor: 'a queue has not read it',
  web: '127.0.0.1:7000',
  who: 'ann@example.org',
};

const METRICS =
  '# HELP d4_sensors Registered sensors by state\n# TYPE d4_sensors gauge\nd4_sensors{state="receiving"} 12\n';

/** Answers that do not follow from their schemas, by operation: most are not JSON. */
const ANSWERS: Readonly<Record<string, unknown>> = {
  getMetrics: METRICS,
  getMetricsWithToken: METRICS,
  listSilentSensorsAsReference: [UUID],
  exportAudit: '{"id":3,"time":1790000000000,"who":"ann@example.org","action":"changed","kind":"sensors","key":"…"}\n',
  makeConfiguration: 'a tar file of the client’s configuration',
  makeConfigurationOfSensor: 'a tar file of the client’s configuration',
  getArchivedFileContent: 'the file',
  makeBackup: 'a tar file of the home',
  watchEvents:
    'event: rates\ndata: {"at":1790000000000,"frames":12.4,"bytes":5120,"connections":3,"topics":{"3":[12.4,5120]}}\n\n',
  watchSensorRecords:
    'event: record\ndata: {"topic":"3","kind":"text","text":"one line","bytes":9,"at":1790000000000}\n\n',
};

/** A JSON schema, as far as examples follow from it. */
interface Schema {
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly patternProperties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: boolean | Schema;
  readonly required?: readonly string[];
  readonly description?: string;
  readonly examples?: readonly unknown[];
  readonly minimum?: number;
}

interface Media {
  schema?: Schema;
  example?: unknown;
}

interface Operation {
  readonly operationId?: string;
  readonly requestBody?: { readonly content?: Readonly<Record<string, Media>> };
  readonly responses?: Readonly<Record<string, { readonly content?: Readonly<Record<string, Media>> }>>;
}

/** Adds examples to a description whose schemas stand where they are used. What nothing is known of gets none. */
export function addExamples(description: { paths?: object }): void {
  for (const methods of Object.values(description.paths ?? {})) {
    for (const operation of Object.values(methods as Record<string, Operation>)) {
      const answer = ANSWERS[operation.operationId ?? ''];
      for (const media of Object.values(operation.requestBody?.content ?? {})) addExample(media, true, undefined);
      for (const [status, { content = {} }] of Object.entries(operation.responses ?? {})) {
        if (status.startsWith('2')) for (const media of Object.values(content)) addExample(media, false, answer);
      }
    }
  }
}

function addExample(media: Media, brief: boolean, known: unknown): void {
  const example = known ?? exampleOf(media.schema ?? {}, '', brief);
  if (example !== undefined) media.example = example;
}

/**
 * @param name of the property that it is of
 * @param brief only what is needed, as in a request; else all
 * @returns undefined where it is not known what it could be
 */
function exampleOf(schema: Schema, name: string, brief: boolean): unknown {
  const { examples, anyOf, items, properties } = schema;
  if (examples !== undefined) return examples[0];
  if (schema.const !== undefined) return schema.const;
  if (schema.enum !== undefined) return schema.enum[0];
  if (anyOf !== undefined) return exampleOf(anyOf.find(({ type }) => type !== 'null') ?? {}, name, brief);
  if (items !== undefined) return listOf(exampleOf(items, name, brief));
  if (properties !== undefined) return objectOf(schema, brief);
  const values = valuesOf(schema);
  if (values !== undefined) return mapOf(exampleOf(values, `${name}[]`, brief), name);
  return plain(schema, name);
}

function listOf(item: unknown): unknown {
  return item === undefined ? undefined : [item];
}

function mapOf(value: unknown, name: string): unknown {
  return value === undefined ? undefined : { [KEYS_OF_MAPS[name] ?? '3']: value };
}

/** What the keys of maps are, where they are no types. */
const KEYS_OF_MAPS: Readonly<Record<string, string>> = {
  byState: 'receiving',
  refusals: 'hmac-wrong',
  rejected: 'too-long',
  sparklines: UUID,
  names: UUID,
  headers: 'authorization',
};

function objectOf({ properties = {}, required = [] }: Schema, brief: boolean): unknown {
  const names = Object.keys(properties).filter((name) => !brief || required.includes(name));
  // A change needs nothing, but without anything it is none.
  const shown =
    names.length > 0 || !brief
      ? names
      : Object.keys(properties)
          .filter((name) => name !== 'revision')
          .slice(0, 2);
  const entries = shown.map((name) => [name, exampleOf(properties[name] ?? {}, name, brief)] as const);
  if (entries.some(([, value]) => value === undefined)) return undefined;
  return Object.fromEntries(entries);
}

function valuesOf({ patternProperties, additionalProperties }: Schema): Schema | undefined {
  if (patternProperties !== undefined) return Object.values(patternProperties)[0];
  return typeof additionalProperties === 'object' ? additionalProperties : undefined;
}

function plain({ type, description = '', minimum = 0 }: Schema, name: string): unknown {
  const types = [type].flat().filter((each) => each !== 'null');
  const [first] = types;
  if (first === 'string') return BY_NAME[name];
  if (first === 'boolean') return name === 'ok' || name === 'balances' || name === 'approve';
  if (first === 'integer' || first === 'number') return Math.max(minimum, numberFor(name, description, first));
  if (first === 'object') return { name: 'north' };
  return undefined;
}

function numberFor(name: string, description: string, type: 'integer' | 'number'): number {
  if (description.includes('ms since 1970') || /(?:At|Until|Seen|^time|^from|^to|^since|^oldest)$/.test(name))
    return TIME;
  if (/bytes/i.test(name)) return 1_048_576;
  if (name === 'port') return 514;
  if (/ms$/i.test(name)) return 3_600_000;
  if (/seconds/i.test(name)) return 3_600;
  return type === 'number' ? 12.5 : 3;
}
