/** A record as the stream of a sensor's records tells it (packages/server/src/monitor/tail). */
export interface TailRecord {
  readonly topic: string;
  /** It was committed, ms since 1970. */
  readonly at: number;
  readonly kind: 'text' | 'json' | 'packet' | 'bytes';
  readonly text: string;
  /** Of the whole record. */
  readonly bytes: number;
  readonly isCut: boolean;
  /** When a packet was captured, ms since 1970. */
  readonly capturedAt?: number;
}

/** A record in the page; its number grows with each. */
export interface TailRow extends TailRecord {
  readonly id: number;
}

/** What of the tail can be shown now. */
export interface TailState {
  readonly connection: 'connecting' | 'open' | 'refused';
  /** The oldest first. */
  readonly rows: readonly TailRow[];
  /** Records that came, shown or not. */
  readonly came: number;
  /** Records that the server did not send, because there were too many at once. */
  readonly skipped: number;
}

/** So many records are kept in the page; the oldest go. */
export const KEPT_ROWS = 2_000;
/** The page is drawn anew so often at the most, in ms. */
const DRAW_MS = 100;
const EMPTY: TailState = { connection: 'connecting', rows: [], came: 0, skipped: 0 };

/** Follows a sensor's records, bounded, for a React component (`useSyncExternalStore`). */
export class TailStore {
  #state = EMPTY;
  #waiting: TailRow[] = [];
  #skipped = 0;
  #came = 0;
  #draw: ReturnType<typeof setTimeout> | undefined;
  #source: EventSource | undefined;
  readonly #listeners = new Set<() => void>();

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  readonly state = (): TailState => this.#state;

  /** Follows another stream from now on; what was shown stays. */
  open(url: string): void {
    this.close();
    this.#change({ connection: 'connecting' });
    const source = new EventSource(url);
    this.#source = source;
    source.addEventListener('begin', () => this.#change({ connection: 'open' }));
    source.addEventListener('record', ({ data }) => this.#take(JSON.parse(data)));
    source.addEventListener('skipped', ({ data }) => {
      this.#skipped += JSON.parse(data).count;
      this.#soon();
    });
    source.addEventListener('error', () => {
      this.#change({ connection: source.readyState === EventSource.CLOSED ? 'refused' : 'connecting' });
    });
  }

  close(): void {
    this.#source?.close();
    this.#source = undefined;
    clearTimeout(this.#draw);
    this.#draw = undefined;
  }

  clear(): void {
    this.#waiting = [];
    this.#change({ rows: [], skipped: 0 });
    this.#skipped = 0;
  }

  #take(record: TailRecord): void {
    this.#came += 1;
    this.#waiting.push({ ...record, id: this.#came });
    if (this.#waiting.length > KEPT_ROWS) this.#waiting.shift();
    this.#soon();
  }

  #soon(): void {
    this.#draw ??= setTimeout(() => {
      this.#draw = undefined;
      const rows = [...this.#state.rows, ...this.#waiting].slice(-KEPT_ROWS);
      this.#waiting = [];
      this.#change({ rows, came: this.#came, skipped: this.#skipped });
    }, DRAW_MS);
  }

  #change(change: Partial<TailState>): void {
    this.#state = { ...this.#state, ...change };
    for (const listener of this.#listeners) listener();
  }
}
