import { setImmediate as turn } from 'node:timers/promises';
import type { SensorId } from '@d4ts/protocol';
import type { Logger } from 'pino';
import type { Format } from '../formats/port.ts';
import type { Journal, Topic, TopicLog } from '../journal/port.ts';
import { linesOf } from './event-lines.ts';
import { type EventFilter, type EventPage, searchEvents } from './event-search.ts';
import { Gathering, type Sighting } from './gathering.ts';
import { type Summary, summaryOf } from './summary.ts';
import type { Marks, StoredThreat, ThreatOrder, ThreatStore } from './threat-store.ts';

/** The meta type of what Maltrail sensors print. */
export const MALTRAIL_TOPIC: Topic = 'maltrail';

/** Read and added up at a time: some milliseconds of work. */
const READ_BYTES = 128 * 1024;
/** After a commit it is waited so long for more. */
const GATHER_MS = 500;
const RETRY_MS = 5_000;
/** Threats looked at for one page, and in one turn. */
const MAX_LOOKED_AT = 100_000;
const LOOKED_AT_A_TIME = 1_000;

/** Which threats are wanted; all of them where nothing is said. Times are ms since 1970. */
export interface ThreatFilter {
  /** Seen at or after this time. */
  readonly from?: number;
  /** Seen before this time. */
  readonly to?: number;
  readonly source?: string;
  readonly trail?: string;
  /** Indexes in `SEVERITIES`. */
  readonly severities?: readonly number[];
  readonly sensor?: SensorId;
  /** In any of its texts, whatever the case. */
  readonly text?: string;
}

/** A threat and who has seen it. */
export interface ListedThreat extends StoredThreat {
  readonly sightings: readonly Sighting[];
}

/** Some threats, and what to give for more; a page may be short, or empty, before the last one is. */
export interface ThreatPage {
  readonly threats: readonly ListedThreat[];
  readonly next: { readonly place: number; readonly id: number } | undefined;
}

export interface MaltrailOptions {
  readonly store: ThreatStore;
  readonly journal: Journal;
  readonly formats: (topic: Topic) => Format;
  readonly log: Logger;
  /** Wall clock, ms since 1970. */
  readonly now?: () => number;
}

/**
 * What the sensors of a Maltrail network find: reads the topic `maltrail`, each line once, and adds its events up by
 * threat. How far it has read is saved with the sums. It holds nothing in the journal, and nothing waits for it.
 */
export class Maltrail {
  readonly #options: MaltrailOptions;
  readonly #now: () => number;
  readonly #stopOpening: () => void;
  #stopListening: (() => void) | undefined;
  #log: TopicLog | undefined;
  #timer: NodeJS.Timeout | undefined;
  #reading: Promise<void> | undefined;
  #failed = false;
  #closed = false;

  constructor(options: MaltrailOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    const { journal } = options;
    const known = journal.get(MALTRAIL_TOPIC);
    if (known !== undefined) this.#follow(known);
    this.#stopOpening = journal.onOpen((log) => this.#follow(log));
  }

  /** Threats kept, and what was counted since the file was made. */
  get counts(): Readonly<Marks> & { readonly threats: number } {
    const { store } = this.#options;
    return { ...store.marks, threats: store.threats };
  }

  /** Resolved when everything that is committed now is added up, or could not be. */
  async caughtUp(): Promise<void> {
    const log = this.#log;
    if (log === undefined || this.#closed) return;
    const { marks } = this.#options.store;
    const end = log.endSequence;
    for (let before = 0; marks.next < end && marks.next > before; ) {
      before = marks.next;
      await this.#read();
    }
  }

  /**
   * Lists threats.
   * @param after the `next` of the page before, in the same order
   */
  async threats(
    filter: ThreatFilter,
    {
      order,
      descending,
      limit,
      after,
    }: { order: ThreatOrder; descending: boolean; limit: number; after?: ThreatPage['next'] },
  ): Promise<ThreatPage> {
    const { store } = this.#options;
    const isWanted = wanted(filter, store);
    const threats: ListedThreat[] = [];
    let place = after;
    for (let looked = 0; looked < MAX_LOOKED_AT; looked += LOOKED_AT_A_TIME) {
      const some = store.inOrder(order, descending, place, LOOKED_AT_A_TIME);
      for (const threat of some) {
        if (threats.length === limit) return { threats, next: place };
        place = { place: threat.place, id: threat.id };
        if (isWanted(threat)) threats.push({ ...threat, sightings: store.sightings(threat.id) });
      }
      if (some.length < LOOKED_AT_A_TIME) return { threats, next: undefined };
      await turn();
    }
    return { threats, next: place };
  }

  /** Events as the journal has them, in the order in which they came. */
  events(filter: EventFilter, limit: number, after?: EventPage['next']): Promise<EventPage> {
    const { formats } = this.#options;
    return searchEvents(this.#log, formats(MALTRAIL_TOPIC), filter, limit, after);
  }

  /** Events by severity, type, sensor and day. @param from to ms since 1970; whole days, UTC */
  summary(from: number, to: number): Summary {
    return summaryOf(this.#options.store, from, to);
  }

  /** Takes out what a sensor has found. What the journal still has of it is added up again when it has not been yet. */
  async forget(sensor: SensorId): Promise<void> {
    // What was read before the journal was erased is saved first.
    await this.#reading;
    const { store } = this.#options;
    for (let after: number | undefined = 0; after !== undefined; after = store.forgetSensor(sensor, after))
      await turn();
  }

  /** Adds up what is committed, and stops. The store stays open. */
  async close(): Promise<void> {
    this.#stopOpening();
    this.#stopListening?.();
    clearTimeout(this.#timer);
    await this.caughtUp();
    this.#closed = true;
    await this.#reading;
  }

  #follow(log: TopicLog): void {
    if (log.topic !== MALTRAIL_TOPIC || this.#log !== undefined) return;
    this.#log = log;
    this.#stopListening = log.onCommit(() => this.#soon(GATHER_MS));
    this.#soon(0);
  }

  #soon(ms: number): void {
    if (this.#closed) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      void this.#read();
    }, ms).unref();
  }

  #read(): Promise<void> {
    this.#reading ??= this.#readOn().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  async #readOn(): Promise<void> {
    const { log, store } = this.#options;
    try {
      while (!this.#closed && (await this.#readSome())) await turn();
      if (this.#failed) log.info('what Maltrail sensors find is added up again');
      this.#failed = false;
    } catch (error) {
      if (!this.#failed)
        log.error(
          { err: error, sequence: store.marks.next },
          'what Maltrail sensors find cannot be added up: trying again',
        );
      this.#failed = true;
      this.#soon(RETRY_MS);
    }
  }

  /** @returns whether there is more */
  async #readSome(): Promise<boolean> {
    const { store, formats } = this.#options;
    const log = this.#log;
    if (log === undefined) return false;
    const from = store.marks.next;
    if (from >= log.endSequence) return false;
    const end = log.endSequence;
    const entries = await log.read(from, READ_BYTES);
    const gathering = new Gathering();
    const format = formats(MALTRAIL_TOPIC);
    for (const entry of entries) {
      for (const { text, isWhole, sensor, time } of linesOf(entry, format))
        gathering.addLine(text, isWhole, sensor, time);
    }
    const next = (entries.at(-1)?.sequence ?? end - 1) + 1;
    const missed = Math.max(0, (entries[0]?.sequence ?? next) - from);
    store.save(gathering, next, missed, this.#now());
    return next < log.endSequence;
  }
}

function wanted({ from = 0, to, source, trail, severities, sensor, text }: ThreatFilter, store: ThreatStore) {
  const sought = text?.toLowerCase();
  return (threat: StoredThreat): boolean =>
    threat.last >= from &&
    (to === undefined || threat.first < to) &&
    (source === undefined || threat.source === source) &&
    (trail === undefined || threat.trail === trail) &&
    (severities === undefined || severities.includes(threat.severity)) &&
    (sought === undefined || textsOf(threat).includes(sought)) &&
    (sensor === undefined || store.hasSeen(sensor, threat.id));
}

function textsOf({ source, trail, type, info, reference }: StoredThreat): string {
  return `${source} ${trail} ${type} ${info} ${reference}`.toLowerCase();
}
