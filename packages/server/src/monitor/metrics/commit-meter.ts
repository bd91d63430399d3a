import { Counter, Histogram, Registry } from 'prom-client';
import type { Commit, Journal, Topic, TopicLog } from '../../journal/port.ts';

const LABELS = ['type'] as const;
const BUCKETS_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];

/** Follows the commits of all topics: how many, how large, how long they took. Since the start. */
export class CommitMeter {
  readonly registry: Registry = new Registry();
  readonly #stops: (() => void)[] = [];
  readonly #duration: Histogram<'type'>;
  readonly #bytes: Counter<'type'>;

  constructor(journal: Journal) {
    const registers = [this.registry];
    this.#duration = new Histogram({
      name: 'd4_journal_commit_duration_seconds',
      help: 'How long it took to write and sync a batch of the journal',
      labelNames: LABELS,
      buckets: BUCKETS_SECONDS,
      registers,
    });
    this.#bytes = new Counter({
      name: 'd4_journal_commit_bytes_total',
      help: 'Bytes committed to the journal, headers of entries included, since the start',
      labelNames: LABELS,
      registers,
    });
    for (const topic of journal.topics()) this.#follow(journal.get(topic));
    this.#stops.push(journal.onOpen((log) => this.#follow(log)));
  }

  close(): void {
    for (const stop of this.#stops) stop();
  }

  #follow(log: TopicLog | undefined): void {
    if (log === undefined) return;
    const labels = { type: log.topic };
    this.#stops.push(log.onCommit((commit) => this.#count(labels, commit)));
  }

  #count(labels: { type: Topic }, { bytes, durationMs }: Commit): void {
    this.#duration.observe(labels, durationMs / 1_000);
    this.#bytes.inc(labels, bytes);
  }
}
