import type { SensorId } from '@d4ts/protocol';
import type { Logger } from 'pino';
import type { Journal, Topic } from '../../journal/port.ts';
import type { Registry } from '../../registry/port.ts';
import { lastRelease } from '../../registry/release-note.ts';
import type { IngestCounts } from './ingest-counts.ts';
import { ALL_SENSORS, type Ledger, NO_SENSOR } from './ledger.ts';
import type { Series } from './series.ts';

/** What a sensor sent against what became of it, over all time, in bytes (docs/ledger.md). */
export interface StreamBalance {
  readonly sensor: SensorId;
  readonly topic: Topic;
  readonly verified: number;
  readonly journaled: number;
  readonly leftOut: number;
  readonly lost: number;
  /** The client sends it again: it is verified once more then. */
  readonly resent: number;
  /** Came, and is on its way: the rest. */
  readonly inFlight: number;
  /** Whether the rest is what it may be: nothing, or something while a stream of the sensor is open. */
  readonly balances: boolean;
}

/** What was put into a topic against what it holds, over all time, in items. */
export interface TopicBalance {
  readonly topic: Topic;
  /** Held when the ledger began. */
  readonly origin: number;
  readonly journaled: number;
  readonly removed: number;
  readonly damaged: number;
  readonly held: number;
  /** Should be held, and is not; below 0 where more is held than should be. */
  readonly difference: number;
  readonly balances: boolean;
}

/** A sensor's streams, the one topic after the other. */
export function streamBalance(series: Series): StreamBalance {
  const verified = series.total('bytes');
  const journaled = series.total('journaledBytes');
  const leftOut = series.total('leftOutBytes');
  const lost = series.total('lostBytes');
  const resent = series.total('resentBytes');
  const inFlight = verified - journaled - leftOut - lost - resent;
  const balances = series.open > 0 ? inFlight >= 0 : inFlight === 0;
  return {
    sensor: series.sensor as SensorId,
    topic: series.topic,
    verified,
    journaled,
    leftOut,
    lost,
    resent,
    inFlight,
    balances,
  };
}

/** Everything that sensors have sent. */
export function streamBalances(ledger: Ledger): StreamBalance[] {
  return [...ledger.all()]
    .filter(({ sensor }) => sensor !== ALL_SENSORS && sensor !== NO_SENSOR)
    .map(streamBalance)
    .filter(({ verified, journaled }) => verified + journaled > 0);
}

/** Every topic of the journal, without those of finished files. */
export function topicBalances(ledger: Ledger, journal: Journal): TopicBalance[] {
  return journal
    .topics()
    .filter((topic) => !topic.startsWith('files/'))
    .map((topic) => {
      const series = ledger.find(ALL_SENSORS, topic);
      const origin = ledger.origin(topic);
      const journaled = series?.total('records') ?? 0;
      const removed = series?.total('removedRecords') ?? 0;
      const damaged = series?.total('damagedRecords') ?? 0;
      const held = journal.get(topic)?.stats().records ?? 0;
      const difference = origin + journaled - removed - damaged - held;
      return { topic, origin, journaled, removed, damaged, held, difference, balances: difference === 0 };
    });
}

/**
 * At the start, before anything new comes: what a crash took is counted as lost, and what its counters had not noted
 * yet is taken from the journal. After that everything balances.
 */
export async function reconcile(
  ledger: Ledger,
  counts: IngestCounts,
  {
    journal,
    registry,
    log,
  }: { journal: Journal; registry: Pick<Registry, 'loadProgress' | 'saveProgress'>; log: Logger },
): Promise<void> {
  const afterCrash = ledger.lastEnd === 'crash';
  const now = Date.now();
  for (const { sensor, topic, inFlight } of streamBalances(ledger)) {
    if (inFlight === 0) continue;
    if (!afterCrash)
      log.error({ sensor, topic, bytes: inFlight }, 'the ledger did not balance after the server was stopped');
    if (inFlight > 0) counts.lost(sensor, topic, inFlight, afterCrash ? 'crash' : 'unexplained');
    else ledger.add(sensor, topic, 'bytes', -inFlight, now);
  }
  for (const { topic, difference, origin } of topicBalances(ledger, journal)) {
    if (difference < 0) {
      log.warn({ topic, records: -difference }, 'the journal holds more than the ledger says: it is taken over');
      ledger.setOrigin(topic, origin - difference);
      continue;
    }
    const removed = Math.min(difference, releasedUncounted(topic));
    const damaged = difference - removed;
    if (removed > 0) {
      log.info(
        { topic, records: removed },
        'retention had removed items when the server was killed: they are counted now',
      );
      ledger.add(NO_SENSOR, topic, 'removedRecords', removed, now);
      const reason = `journal: ${lastRelease(registry, topic)?.why}`;
      ledger.addReason(NO_SENSOR, topic, { kind: 'removed', reason, count: removed, bytes: 0 }, now);
    }
    if (damaged > 0) {
      log.warn({ topic, records: damaged }, 'the journal does not hold what the ledger says: counted as damaged');
      ledger.add(NO_SENSOR, topic, 'damagedRecords', damaged, now);
      const reason = 'not-in-the-journal';
      ledger.addReason(NO_SENSOR, topic, { kind: 'lost', reason, count: damaged, bytes: 0 }, now);
    }
  }
  await ledger.flush();

  /** Items of the last release, if it was carried out: no more than these can be gone without a count. */
  function releasedUncounted(topic: Topic): number {
    const release = lastRelease(registry, topic);
    const first = journal.get(topic)?.firstSequence ?? 0;
    return release !== undefined && first >= release.before ? release.records : 0;
  }
}
