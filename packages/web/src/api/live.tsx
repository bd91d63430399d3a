import { useQueryClient } from '@tanstack/react-query';
import { createContext, type ReactNode, use, useEffect, useState, useSyncExternalStore } from 'react';
import { changeStates, isLongList } from './sensor-lists.ts';
import { SESSION_KEY } from './session-key.ts';

/** What the server says of the present, each second. Rates are frames and bytes a second. */
export interface LiveRates {
  readonly at: number;
  readonly frames: number;
  readonly bytes: number;
  readonly connections: number;
  readonly topics: Readonly<Record<string, readonly [frames: number, bytes: number]>>;
}

/** Whether the page hears from the server, and what it has heard. */
export interface LiveState {
  readonly connected: boolean;
  /** The last minutes, the oldest first; the last one is now. */
  readonly rates: readonly LiveRates[];
}

/** So many seconds are kept. */
const KEPT = 180;
/** Lists are asked for anew at most so often, however much changes, ms. */
const STALE_MS = 2_000;
/** After the server has closed the stream for good, ms. */
const AGAIN_MS = 5_000;

/** The state that the stream of events fills, for whoever listens. */
class LiveStore {
  #state: LiveState = { connected: false, rates: [] };
  readonly #listeners = new Set<() => void>();

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  readonly state = (): LiveState => this.#state;

  change(change: Partial<LiveState>): void {
    this.#state = { ...this.#state, ...change };
    for (const listener of this.#listeners) listener();
  }

  add(rates: LiveRates): void {
    this.change({ connected: true, rates: [...this.#state.rates.slice(1 - KEPT), rates] });
  }
}

const Live = createContext<LiveStore | null>(null);

/** Follows the server's events while somebody is signed in, and makes stale what they are about. */
export function LiveProvider({ children }: { children: ReactNode }) {
  const client = useQueryClient();
  const [store] = useState(() => new LiveStore());

  useEffect(() => {
    let events: EventSource | undefined;
    let again: ReturnType<typeof setTimeout> | undefined;
    let due: ReturnType<typeof setTimeout> | undefined;
    const stale = new Set<string>();

    function outdate(...keys: string[]): void {
      for (const key of keys) stale.add(key);
      due ??= setTimeout(() => {
        due = undefined;
        for (const key of stale) {
          void client.invalidateQueries({ queryKey: [key], predicate: (query) => !isLongList(query) });
        }
        stale.clear();
      }, STALE_MS);
    }

    function open(): void {
      const source = new EventSource('/api/v1/events');
      events = source;
      source.addEventListener('hello', () => store.change({ connected: true }));
      source.addEventListener('rates', ({ data }) => store.add(JSON.parse(data)));
      source.addEventListener('states', ({ data }) => {
        changeStates(client, JSON.parse(data).changes);
        outdate('sensors', 'overview', 'status');
      });
      // Too much was missed, or left out for this page: everything may be out of date.
      for (const event of ['missed', 'dropped']) {
        source.addEventListener(event, () => outdate('sensors', 'overview', 'status'));
      }
      source.addEventListener('attention', () => outdate('overview'));
      source.addEventListener('knocks', () => outdate('status', 'overview'));
      source.addEventListener('disk', () => outdate('overview'));
      source.addEventListener('pressure', () => outdate('overview', 'status'));
      source.addEventListener('error', () => {
        store.change({ connected: false });
        if (source.readyState !== EventSource.CLOSED) return;
        // Refused, for example because the session has ended: ask, which leads to the login page if so.
        void client.invalidateQueries({ queryKey: SESSION_KEY });
        again = setTimeout(open, AGAIN_MS);
      });
    }

    open();
    return () => {
      events?.close();
      clearTimeout(again);
      clearTimeout(due);
    };
  }, [client, store]);

  return <Live value={store}>{children}</Live>;
}

/** What is heard from the server; what uses it is drawn again each second. */
export function useLive(): LiveState {
  const store = use(Live);
  if (store === null) throw new Error('used outside of LiveProvider');
  return useSyncExternalStore(store.subscribe, store.state);
}
