import type { ApiContext } from './api-context.ts';
import type { SensorStates } from './sensor-states.ts';

/** What may need somebody's attention, the most urgent first. */
export const ATTENTION_KINDS = [
  'back-pressure',
  'disk',
  'damaged',
  'archive-failing',
  'cloned',
  'silent',
  'refused',
  'over-quota',
  'certificate',
  'archive-behind',
  'exporter-failing',
  'queue-growing',
  'pending',
  'knocking',
  'unproven',
] as const;
export type AttentionKind = (typeof ATTENTION_KINDS)[number];

/** Something that needs attention. */
export interface Attention {
  readonly kind: AttentionKind;
  /** `now`: data are or will soon be lost or late; `soon`: somebody should decide; `info`: good to know. */
  readonly urgency: 'now' | 'soon' | 'info';
  /** For people. */
  readonly message: string;
  /** How many sensors, queues or types it is about. */
  readonly count: number;
  /** The first of them: uuids of sensors or queues, topics, folders. */
  readonly of: string[];
}

const SHOWN = 10;
const DAY_MS = 86_400_000;
const CERTIFICATE_SOON_MS = 30 * DAY_MS;
const CERTIFICATE_NOW_MS = 7 * DAY_MS;
const ARCHIVE_BEHIND_MS = 60_000;
const DISK_SOON_DAYS = 30;
/** A queue grows if more comes in than goes out, and so many items wait. */
const QUEUE_ITEMS = 1_000;
/** Knocks of the last day. */
const KNOCK_MS = DAY_MS;

/**
 * What needs attention, the most urgent first.
 * @param states of all sensors
 * @param silent sensors that are watched and silent
 */
export function attentionOf(context: ApiContext, states: SensorStates, silent: readonly string[]): Attention[] {
  const found = [
    backPressure(context),
    disk(context),
    damaged(context),
    archiveFailing(context),
    about(
      'cloned',
      'now',
      states.in('cloned'),
      'sensor may be cloned: two connections of one type are both active',
      'sensors may be cloned: two connections of one type are both active',
    ),
    about(
      'silent',
      'now',
      silent,
      'watched sensor has sent nothing for longer than expected',
      'watched sensors have sent nothing for longer than expected',
    ),
    about(
      'refused',
      'soon',
      states.in('refused'),
      'sensor was refused when it last tried',
      'sensors were refused when they last tried',
    ),
    about(
      'over-quota',
      'soon',
      states.in('over-quota'),
      'sensor has sent all that it may today',
      'sensors have sent all that they may today',
    ),
    certificate(context),
    archiveBehind(context),
    about(
      'exporter-failing',
      'soon',
      failing(context),
      'exporter cannot deliver; its records wait in the journal',
      'exporters cannot deliver; their records wait in the journal',
    ),
    growing(context),
    about('pending', 'soon', states.in('pending'), 'sensor waits for approval', 'sensors wait for approval'),
    knocking(context),
    about(
      'unproven',
      'info',
      states.unproven,
      'sensor registered itself with the default key',
      'sensors registered themselves with the default key',
    ),
  ];
  return found.filter((each) => each !== undefined);
}

function about(
  kind: AttentionKind,
  urgency: Attention['urgency'],
  of: readonly string[],
  one: string,
  several: string,
): Attention | undefined {
  if (of.length === 0) return undefined;
  const message = `${of.length} ${of.length === 1 ? one : several}`;
  return { kind, urgency, message, count: of.length, of: of.slice(0, SHOWN) };
}

/** Names of the exporters that fail. */
function failing({ exporters }: ApiContext): string[] {
  return exporters.list().flatMap(({ name, state }) => (state === 'failing' ? [name] : []));
}

function backPressure({ ingest }: ApiContext): Attention | undefined {
  const { paused } = ingest.backPressure();
  if (paused === 0) return undefined;
  const message = `${paused} connections are not read: the journal is behind, or their sensors have had their share`;
  return { kind: 'back-pressure', urgency: 'now', message, count: paused, of: [] };
}

function disk({ retention }: ApiContext): Attention | undefined {
  const { state, reason, disks, forecast } = retention.status();
  const of = disks.filter((each) => each.state !== 'ok').map(({ path }) => path);
  if (state !== 'ok') {
    const message = reason ?? (state === 'stopped' ? 'the disk is full: no sensor is read' : 'the disk is nearly full');
    return { kind: 'disk', urgency: 'now', message, count: of.length, of };
  }
  if (forecast.outcome !== 'full' || forecast.days > DISK_SOON_DAYS) return undefined;
  const days = Math.max(1, Math.round(forecast.days));
  const message = `the disk of ${forecast.disk} will be full in ${days === 1 ? 'a day' : `${days} days`} at the present rate`;
  return { kind: 'disk', urgency: 'soon', message, count: 1, of: [forecast.disk] };
}

function damaged({ server }: ApiContext): Attention | undefined {
  const files = [...server.damagedFiles()];
  if (files.length === 0) return undefined;
  const message = `${files.length === 1 ? '1 damaged file was' : `${files.length} damaged files were`} set aside in the home's folder damaged: look at the log and at d4 fsck, then move ${files.length === 1 ? 'it' : 'them'} away`;
  return { kind: 'damaged', urgency: 'now', message, count: files.length, of: files.slice(0, SHOWN) };
}

function archiveFailing({ archive }: ApiContext): Attention | undefined {
  const failing = archive.status().topics.filter(({ error }) => error !== undefined);
  const [first] = failing;
  if (first === undefined) return undefined;
  const message = `the archive cannot be written: ${first.error}`;
  return {
    kind: 'archive-failing',
    urgency: 'now',
    message,
    count: failing.length,
    of: failing.map(({ topic }) => topic),
  };
}

function archiveBehind({ archive }: ApiContext): Attention | undefined {
  const behind = archive.status().topics.filter(({ lag, error }) => error === undefined && lag > ARCHIVE_BEHIND_MS);
  if (behind.length === 0) return undefined;
  const seconds = Math.round(Math.max(...behind.map(({ lag }) => lag)) / 1_000);
  const message = `the archive is ${seconds} s behind`;
  return {
    kind: 'archive-behind',
    urgency: 'soon',
    message,
    count: behind.length,
    of: behind.map(({ topic }) => topic),
  };
}

function certificate({ monitor, now }: ApiContext): Attention | undefined {
  const left = monitor.certificateEndsAt() - now();
  if (left > CERTIFICATE_SOON_MS) return undefined;
  const days = Math.floor(left / DAY_MS);
  const message = left <= 0 ? "the server's certificate has ended" : `the server's certificate ends in ${days} days`;
  return { kind: 'certificate', urgency: left < CERTIFICATE_NOW_MS ? 'now' : 'soon', message, count: 1, of: [] };
}

function growing({ queues, monitor }: ApiContext): Attention | undefined {
  const found = queues.list().filter(({ uuid, length }) => {
    const rate = monitor.rates.queue(uuid);
    return length >= QUEUE_ITEMS && rate.in > rate.out;
  });
  return about(
    'queue-growing',
    'soon',
    found.map(({ uuid }) => uuid),
    'queue grows: more comes in than is taken',
    'queues grow: more comes in than is taken',
  );
}

function knocking({ registry, now }: ApiContext): Attention | undefined {
  const since = now() - KNOCK_MS;
  const knocks = registry.activity.knocks().filter(({ lastAt }) => lastAt >= since);
  const uuids = [...new Set(knocks.map(({ uuid }) => uuid as string))];
  return about(
    'knocking',
    'info',
    uuids,
    'sensor knocks and is not registered',
    'sensors knock and are not registered',
  );
}
