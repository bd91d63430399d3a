import type { RefusalCode, SensorId } from '@d4ts/protocol';
import { type Ledger, NO_SENSOR, NO_TOPIC } from './ledger.ts';

/** Why a stream ended with bytes that are not committed, where that is no loss. */
const SENT_AGAIN = 'sent-again';

/** What ingest says to the ledger: `IngestLedger` of ingest/port.ts. */
export class IngestCounts {
  readonly #ledger: Ledger;
  readonly #now: () => number;
  readonly #openListeners: ((sensor: SensorId, topic: string) => void)[] = [];

  constructor(ledger: Ledger, now: () => number = Date.now) {
    this.#ledger = ledger;
    this.#now = now;
  }

  opened(sensor: SensorId, topic: string): void {
    this.#ledger.series(sensor, topic).open += 1;
    for (const listener of this.#openListeners) listener(sensor, topic);
  }

  /** Calls `listener` whenever a stream begins. */
  onOpened(listener: (sensor: SensorId, topic: string) => void): void {
    this.#openListeners.push(listener);
  }

  ended(
    sensor: SensorId,
    topic: string,
    bytes: { readonly came: number; readonly committed: number },
    why: string,
  ): void {
    this.#ledger.series(sensor, topic).open -= 1;
    const rest = bytes.came - bytes.committed;
    if (why === SENT_AGAIN) this.#ledger.add(sensor, topic, 'resentBytes', Math.max(0, rest), this.#now());
    else this.lost(sensor, topic, rest, why);
  }

  /** Verified bytes that the journal never gets. */
  lost(sensor: SensorId, topic: string, bytes: number, reason: string): void {
    if (bytes <= 0) return;
    const now = this.#now();
    this.#ledger.add(sensor, topic, 'lostBytes', bytes, now);
    this.#ledger.addReason(sensor, topic, { kind: 'lost', reason, count: 1, bytes }, now);
  }

  unverified(sensor: SensorId | undefined, reason: RefusalCode | undefined, bytes: number): void {
    const now = this.#now();
    const whose = sensor ?? NO_SENSOR;
    this.#ledger.add(whose, NO_TOPIC, reason === undefined ? 'unfinishedBytes' : 'refusedBytes', bytes, now);
    if (reason === undefined) return;
    this.#ledger.addReason(whose, NO_TOPIC, { kind: 'refused', reason, count: 0, bytes }, now);
  }

  duplicate(sensor: SensorId, topic: string, bytes: number): void {
    this.#ledger.add(sensor, topic, 'duplicateBytes', bytes, this.#now());
  }
}
