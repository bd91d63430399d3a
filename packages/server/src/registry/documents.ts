import { D4Error, type SensorId } from '@d4ts/protocol';
import Type, { type Static, type TSchema } from 'typebox';
import { Compile } from 'typebox/compile';
import { EXPORTER_NAME, type ExporterDefinition, ExporterTarget } from './exporter.ts';
import type {
  AcceptedType,
  Block,
  ClaimedRefusal,
  CursorState,
  EnrolmentToken,
  Knock,
  LoginSession,
  QueueDefinition,
  Sensor,
  SensorActivity,
  Token,
  TokenUse,
  User,
} from './port.ts';

/** Reads a document that was stored as JSON text. @throws {D4Error} D4_REGISTRY_DAMAGED, naming `what` */
export type DocumentParser<T> = (json: string, what: string) => T;

const time = Type.Number();
const count = Type.Integer({ minimum: 0 });
const sensorId = Type.Unsafe<SensorId>(
  Type.String({ pattern: '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$' }),
);
const role = Type.Enum(['admin', 'user', 'viewer', 'sensor_register']);
const refusalCount = Type.Object({ count, lastAt: time, lastAddress: Type.String() });

const archiveRules = Type.Object({
  priority: Type.Optional(Type.Integer()),
  maxAgeMs: Type.Optional(count),
  maxBytes: Type.Optional(count),
});

const sensor = Type.Object({
  uuid: sensorId,
  key: Type.String({ minLength: 1 }),
  previousKey: Type.Optional(Type.String({ minLength: 1 })),
  previousKeyUntil: Type.Optional(time),
  state: Type.Enum(['pending', 'approved', 'revoked']),
  name: Type.Optional(Type.String()),
  tags: Type.Optional(Type.Array(Type.String())),
  description: Type.String(),
  mail: Type.String(),
  thirdParty: Type.Boolean(),
  unproven: Type.Boolean(),
  maxPayloadBytes: Type.Optional(count),
  maxBytesPerSecond: Type.Optional(count),
  maxBytesPerDay: Type.Optional(count),
  expectedIntervalSeconds: Type.Optional(count),
  acknowledgedOnly: Type.Optional(Type.Boolean()),
  hold: Type.Optional(Type.Boolean()),
  archive: Type.Optional(archiveRules),
  createdAt: time,
});

const acceptedType = Type.Object({
  name: Type.String(),
  archive: Type.Optional(archiveRules),
  maxJournalBytes: Type.Optional(count),
  createdAt: time,
});

const queue = Type.Object({
  uuid: Type.String(),
  topic: Type.String(),
  description: Type.String(),
  limit: count,
  filters: Type.Array(
    Type.Object({ from: Type.Number(), sensors: Type.Union([Type.Literal('all'), Type.Array(sensorId)]) }),
  ),
  credential: Type.Optional(Type.Object({ hash: Type.String(), push: Type.Boolean(), createdAt: time })),
  createdAt: time,
});

const exporter = Type.Object({
  name: Type.String({ pattern: EXPORTER_NAME }),
  topic: Type.String(),
  sensors: Type.Union([Type.Literal('all'), Type.Array(sensorId)]),
  description: Type.String(),
  target: ExporterTarget,
  secrets: Type.String(),
  paused: Type.Boolean(),
  declared: Type.Boolean(),
  createdAt: time,
});

const block = Type.Object({
  target: Type.String(),
  kind: Type.Enum(['network', 'sensor']),
  reason: Type.String(),
  author: Type.Optional(Type.String()),
  expiresAt: Type.Optional(time),
  createdAt: time,
});

const user = Type.Object({
  mail: Type.String(),
  passwordHash: Type.String(),
  role,
  mustChangePassword: Type.Boolean(),
  disabled: Type.Optional(Type.Boolean()),
  createdAt: time,
});

const token = Type.Object({
  name: Type.String(),
  user: Type.String(),
  role,
  createdAt: time,
  expiresAt: Type.Optional(time),
});

const enrolment = Type.Object({
  name: Type.String(),
  tags: Type.Array(Type.String()),
  description: Type.String(),
  mail: Type.String(),
  type: Type.String(),
  approve: Type.Boolean(),
  server: Type.String(),
  author: Type.String(),
  maxUses: count,
  uses: Type.Array(Type.Object({ sensor: sensorId, address: Type.String(), at: time, registered: Type.Boolean() })),
  createdAt: time,
  expiresAt: time,
  revokedAt: Type.Optional(time),
});

const loginSession = Type.Object({
  user: Type.String(),
  createdAt: time,
  lastUsedAt: time,
  address: Type.String(),
  userAgent: Type.String(),
});

const tokenUse = Type.Object({ at: time, address: Type.String() });

const cursor = Type.Object({
  sequence: Type.Number(),
  record: Type.Number(),
  taken: Type.Number(),
  dropped: Type.Number(),
  flushed: Type.Number(),
  givenBack: Type.Array(Type.String()),
  side: Type.Optional(Type.Array(Type.Object({ sequence: Type.Number(), item: Type.String() }))),
  claims: Type.Optional(
    Type.Array(
      Type.Object({ sequence: count, record: count, count, deliveries: count, sensor: Type.Optional(sensorId) }),
    ),
  ),
  rewound: Type.Optional(count),
  replayed: Type.Optional(count),
  replays: Type.Optional(
    Type.Array(
      Type.Object({
        id: Type.String(),
        topic: Type.String(),
        sensors: Type.Union([Type.Literal('all'), Type.Array(sensorId)]),
        from: time,
        to: time,
        state: Type.Union([
          Type.Literal('running'),
          Type.Literal('done'),
          Type.Literal('cancelled'),
          Type.Literal('failed'),
        ]),
        error: Type.Optional(Type.String()),
        startedAt: time,
        finishedAt: Type.Optional(time),
        source: Type.Union([Type.Literal('archive'), Type.Literal('journal')]),
        sequence: count,
        record: count,
        journalFrom: count,
        journalTo: count,
        journalItems: count,
        journalDone: count,
        journalTime: time,
        delivered: count,
        lost: count,
        missingFiles: count,
      }),
    ),
  ),
});

const sensorActivity = Type.Object({
  firstSeen: time,
  lastSeen: time,
  lastAddress: Type.String(),
  today: Type.Object({ day: count, bytes: count }),
  topics: Type.Record(
    Type.String(),
    Type.Object({
      frames: count,
      bytes: count,
      records: count,
      sessions: count,
      skippedBytes: count,
      cutRecords: count,
      firstSeen: time,
      lastSeen: time,
    }),
  ),
  refusals: Type.Record(Type.String(), refusalCount),
});

const claimedRefusals = Type.Array(
  Type.Object({
    address: Type.String(),
    code: Type.String(),
    claimed: Type.Optional(sensorId),
    count,
    firstAt: time,
    lastAt: time,
  }),
);

const knocks = Type.Array(
  Type.Object({ uuid: sensorId, address: Type.String(), type: count, count, firstAt: time, lastAt: time }),
);

/** Parsers of what the registry stores as JSON. Codes of refusals are texts: an older version may have had others. */
export const PARSE = {
  sensor: parserOf(sensor) satisfies DocumentParser<Sensor>,
  acceptedType: parserOf(acceptedType) satisfies DocumentParser<AcceptedType>,
  queue: parserOf(queue) satisfies DocumentParser<QueueDefinition>,
  exporter: parserOf(exporter) satisfies DocumentParser<ExporterDefinition>,
  block: parserOf(block) satisfies DocumentParser<Block>,
  user: parserOf(user) satisfies DocumentParser<User>,
  token: parserOf(token) satisfies DocumentParser<Token>,
  enrolment: parserOf(enrolment) satisfies DocumentParser<EnrolmentToken>,
  loginSession: parserOf(loginSession) satisfies DocumentParser<LoginSession>,
  tokenUse: parserOf(tokenUse) satisfies DocumentParser<TokenUse>,
  cursor: parserOf(cursor) satisfies DocumentParser<CursorState>,
  sensorActivity: parserOf(sensorActivity) satisfies DocumentParser<
    Omit<SensorActivity, 'refusals'> & { refusals: Record<string, Static<typeof refusalCount>> }
  >,
  refusalTotals: parserOf(Type.Record(Type.String(), count)),
  claimedRefusals: parserOf(claimedRefusals) satisfies DocumentParser<
    (Omit<ClaimedRefusal, 'code' | 'claimed'> & { code: string })[]
  >,
  knocks: parserOf(knocks) satisfies DocumentParser<Knock[]>,
};

function parserOf<S extends TSchema>(schema: S): DocumentParser<Static<S>> {
  const validator = Compile(schema);
  return (json, what) => {
    let value: unknown;
    try {
      value = JSON.parse(json);
    } catch (error) {
      throw damaged(what, 'it is not JSON', error);
    }
    if (validator.Check(value)) return value;
    const [problem] = validator.Errors(value);
    throw damaged(what, `${problem?.instancePath ?? ''} ${problem?.message ?? 'does not fit its schema'}`.trim());
  };
}

function damaged(what: string, why: string, cause?: unknown): D4Error {
  return new D4Error(
    'D4_REGISTRY_DAMAGED',
    `${what} cannot be read: ${why}; restore the registry from a backup`,
    cause,
  );
}
