import Type, { type Static, type TSchema } from 'typebox';
import { REMOVAL_REASONS } from '../retention/port.ts';
import { closed, count, optionalTime, time, words } from './schema-parts.ts';

/* What the HTTP interface says of retention. */

const orNull = <S extends TSchema>(schema: S, description: string) =>
  Type.Union([schema, Type.Null()], { description });
const limit = (description: string) => orNull(Type.Integer({ minimum: 0 }), `${description}; null for no limit`);
const text = (description: string) => orNull(Type.String(), `${description}, or null`);

/** Whether there is space. */
const SPACE_STATES = ['ok', 'pressure', 'stopped'] as const;
const spaceState = words(
  SPACE_STATES,
  '`pressure`: what may be removed is removed; `stopped`: no sensor is read until there is space',
);
const reason = words(REMOVAL_REASONS, 'Why');
const store = words(['journal', 'archive', 'queue'] as const, 'Where');

const DiskView = closed('Disk', {
  path: Type.String({ description: 'A folder on it' }),
  holds: Type.Array(words(['journal', 'archive'] as const, 'What is on it')),
  state: spaceState,
  bytes: count('Size'),
  freeBytes: count('Free'),
  reserveBytes: count('Never used for data'),
  inodes: orNull(Type.Integer(), 'Null where the file system does not count them'),
  freeInodes: orNull(Type.Integer(), 'The same'),
  reserveInodes: count('Never used for data'),
});

const PolicyView = closed('RetentionPolicy', {
  rewindAgeMs: limit('The rewind window, in ms'),
  rewindBytes: limit('The rewind window; what is smaller holds'),
  queueAgeMs: limit('What a queue may hold of the journal, in ms'),
  queueBytes: limit('What a queue may hold of the journal'),
  journalTypeBytes: limit('What the journal keeps of a type'),
  journalBytes: limit('What the journal keeps'),
  archiveAgeMs: limit('How long files are kept, in ms'),
  archiveSensorBytes: limit('What the archive keeps of a sensor'),
  archiveTypeBytes: limit('What the archive keeps of a type'),
  archiveBytes: limit('What the archive keeps'),
});

const HeldTopicView = closed('HeldTopic', {
  topic: Type.String({ description: 'A type, or `files/TYPE`: the announcements of its finished files' }),
  bytes: count('On disk'),
  segments: count('Segments'),
  records: count('Items'),
  oldest: optionalTime('When the last record of the oldest segment came'),
  waitsFor: text('What the oldest segment waits for: `archive`, `queue UUID`, `window` or `open`'),
});

const HeldFilesView = closed('HeldFiles', {
  topic: Type.String(),
  files: count('Finished files'),
  bytes: count('On disk'),
  heldBytes: count('Of these, of sensors on hold'),
  oldest: optionalTime('About when the last bytes of the oldest file came: none that is left ends before'),
  priority: Type.Integer({ description: "The type's; what is lower goes first" }),
  removedFiles: count('Files removed so far'),
  removedBytes: count('On disk, before'),
  bytesPerDay: orNull(Type.Integer(), 'At the present rate; null until it is known'),
});

export const ErasureView = closed('Erasure', {
  sensor: Type.String(),
  by: Type.String({ description: 'Who asked for it' }),
  requestedAt: time('Asked for'),
  waitsFor: text('What it waits for, while it is not done'),
  doneAt: optionalTime('Done'),
  files: count('Files removed'),
  fileBytes: count('Of these files'),
  journalBytes: count('Overwritten in the journal'),
  journalRecords: count('Items overwritten in the journal'),
});
export type ErasureView = Static<typeof ErasureView>;

const ForecastView = closed('Forecast', {
  outcome: words(['unknown', 'never', 'full'] as const, '`never`: the limits hold, or nothing grows'),
  days: orNull(Type.Number(), 'Until the disk is full at the present rate'),
  disk: text('Which one'),
});

/** The part that the status of the server has too. */
export const SpaceView = closed('Space', {
  state: spaceState,
  reason: text('In words, where the state is not `ok`'),
  since: time('Since when'),
  disks: Type.Array(DiskView),
  ageRulesPaused: text('Why the age rules do not work'),
  forecast: ForecastView,
});
export type SpaceView = Static<typeof SpaceView>;

export const RetentionView = closed('Retention', {
  ...SpaceView.properties,
  policy: PolicyView,
  journal: Type.Array(HeldTopicView),
  archive: Type.Array(HeldFilesView),
  lastRemoval: orNull(
    Type.Object({ at: time('When'), store, why: reason, topic: Type.String(), bytes: count('How much') }),
    'What was removed last',
  ),
  lastRunAt: optionalTime('When all was looked through last'),
  error: text('Why the last run has failed; it is done again'),
  erasures: Type.Array(ErasureView, { description: 'The latest first' }),
});
export type RetentionView = Static<typeof RetentionView>;

export const RetentionPlan = closed('RetentionPlan', {
  removals: Type.Array(
    closed('PlannedRemoval', {
      store,
      why: reason,
      topic: Type.String({ description: 'One or more types, with commas between them' }),
      sensor: text('Where it is one'),
      queue: text('The queue that gives up what it has not handed out'),
      files: count('Files, at the most'),
      bytes: count('Bytes, at the most'),
      note: Type.String({ description: 'For people' }),
    }),
    { description: 'In the order in which they would be made' },
  ),
});
export type RetentionPlan = Static<typeof RetentionPlan>;

export const ClockAccepted = closed('ClockAccepted', {
  changed: Type.Boolean({ description: 'Whether the age rules were paused' }),
});
