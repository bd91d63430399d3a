import { type Ledger, NO_SENSOR } from './ledger.ts';

/** What is known of a queue, as far as it is counted. */
export interface QueueCounters {
  readonly uuid: string;
  readonly topic: string;
  readonly dropped: number;
  readonly flushed: number;
}

/**
 * Takes over what queues have dropped, by topic: over their limit, or because somebody flushed them. Whose items those
 * were is not looked up.
 */
export class QueueCounts {
  readonly #ledger: Ledger;
  readonly #seen = new Map<string, QueueCounters>();
  /** Items that retention has taken from a queue: they are counted by sensor, and will be in `dropped` as well. */
  readonly #counted = new Map<string, number>();

  /** @param queues as they are at the start: what they have dropped before is in the ledger */
  constructor(ledger: Ledger, queues: readonly QueueCounters[]) {
    this.#ledger = ledger;
    for (const queue of queues) this.#seen.set(queue.uuid, queue);
    ledger.onQueueItemsRemoved((queue, items) => this.#counted.set(queue, (this.#counted.get(queue) ?? 0) + items));
  }

  takeOver(queues: readonly QueueCounters[], now: number): void {
    for (const queue of queues) {
      const before = this.#seen.get(queue.uuid);
      this.#seen.set(queue.uuid, queue);
      const dropped = queue.dropped - (before?.dropped ?? 0);
      const counted = Math.min(Math.max(0, dropped), this.#counted.get(queue.uuid) ?? 0);
      if (counted > 0) this.#counted.set(queue.uuid, (this.#counted.get(queue.uuid) ?? 0) - counted);
      this.#add(queue.topic, 'queue-limit', dropped - counted, now);
      this.#add(queue.topic, 'flushed', queue.flushed - (before?.flushed ?? 0), now);
    }
  }

  #add(topic: string, reason: string, count: number, now: number): void {
    if (count <= 0) return;
    this.#ledger.add(NO_SENSOR, topic, 'dropped', count, now);
    this.#ledger.addReason(NO_SENSOR, topic, { kind: 'dropped', reason, count, bytes: 0 }, now);
  }
}
