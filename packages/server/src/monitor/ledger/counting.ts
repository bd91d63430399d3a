import type { SensorId } from '@d4ts/protocol';
import type { Logger } from 'pino';
import type { Format } from '../../formats/port.ts';
import type { Journal, Topic } from '../../journal/port.ts';
import type { Registry } from '../../registry/port.ts';
import { ActivityCounts } from './activity-counts.ts';
import { reconcile } from './balance.ts';
import { IngestCounts } from './ingest-counts.ts';
import { JournalCounts } from './journal-counts.ts';
import type { Ledger } from './ledger.ts';

export interface CountingOptions {
  readonly ledger: Ledger;
  readonly journal: Journal;
  readonly registry: Registry;
  readonly formats: (topic: Topic) => Format;
  readonly log: Logger;
}

/** Everything that writes into the ledger. */
export interface Counting {
  /** For ingest. */
  readonly ingest: IngestCounts;
  /** For queues: consumers have taken items. */
  readonly onTaken: (sensor: SensorId, topic: Topic, items: number) => void;
  /** Resolved when everything that is committed now is counted. */
  caughtUp(): Promise<void>;
  close(): Promise<void>;
}

/** Begins to count: reads what the journal has got since the last server counted, and settles what a crash has taken. */
export async function beginCounting(options: CountingOptions): Promise<Counting> {
  const { ledger, journal, registry, log } = options;
  const activity = new ActivityCounts(ledger, registry.activity);
  const counts = new JournalCounts(options);
  const ingest = new IngestCounts(ledger);
  await counts.caughtUp();
  activity.takeOver();
  await reconcile(ledger, ingest, { journal, registry, log });
  return {
    ingest,
    onTaken: (sensor, topic, items) => ledger.add(sensor, topic, 'delivered', items, Date.now()),
    caughtUp: () => counts.caughtUp(),
    close: () => counts.close(),
  };
}
