import { X509Certificate } from 'node:crypto';
import type { Logger } from 'pino';
import type { Journal } from '../journal/port.ts';
import type { Registry } from '../registry/port.ts';
import { Alerts } from './alerts/alerts.ts';
import type { AlertSettings } from './alerts/port.ts';
import { Silence } from './alerts/silence.ts';
import type { Counting } from './ledger/counting.ts';
import { ALL_SENSORS, type Ledger } from './ledger/ledger.ts';
import { QueueCounts } from './ledger/queue-counts.ts';
import { CommitMeter } from './metrics/commit-meter.ts';
import { type RatedQueue, Rates } from './rates/rates.ts';

const SECOND_MS = 1_000;

/** What the monitor looks at. */
export interface MonitorOptions {
  readonly ledger: Ledger;
  readonly counting: Counting;
  readonly registry: Registry;
  readonly journal: Journal;
  readonly queues: { list(): readonly RatedQueue[] };
  readonly alerts: AlertSettings;
  /** Files that were damaged and are set aside, by name. */
  readonly damagedFiles: () => readonly string[];
  /** The server's certificate, PEM. */
  readonly certificate: () => string;
  readonly log: Logger;
}

/** Everything that is known of how the server is doing: the ledger, rates, commits, silence. Updated each second, whoever looks. */
export class Monitor {
  readonly ledger: Ledger;
  readonly rates: Rates;
  readonly commits: CommitMeter;
  readonly silence: Silence;
  readonly alerts: Alerts;
  readonly #counting: Counting;
  readonly #certificate: () => string;
  readonly #queues: MonitorOptions['queues'];
  readonly #queueCounts: QueueCounts;
  readonly #listeners = new Set<() => void>();
  readonly #log: Logger;
  #timer: NodeJS.Timeout | undefined;
  #ending: { readonly pem: string; readonly at: number } | undefined;
  #closed = false;

  constructor(options: MonitorOptions) {
    const { ledger, counting, registry, journal, queues, certificate, damagedFiles, log } = options;
    this.#certificate = certificate;
    this.ledger = ledger;
    this.#counting = counting;
    this.#queues = queues;
    this.#log = log;
    this.rates = new Rates(registry.activity, Date.now());
    this.commits = new CommitMeter(journal);
    this.silence = new Silence(registry, Date.now());
    this.alerts = new Alerts({
      registry,
      silence: this.silence,
      settings: options.alerts,
      damage: () => ({ files: damagedFiles(), items: damagedItems(ledger) }),
      log,
    });
    this.#queueCounts = new QueueCounts(ledger, queues.list());
    ledger.beforeSaving(() => {
      if (!this.#closed) this.#queueCounts.takeOver(queues.list(), Date.now());
    });
  }

  /** Begins to look, each second. */
  start(): void {
    this.#timer = setInterval(() => this.#tick(), SECOND_MS).unref();
  }

  /** When the server's certificate ends, ms since 1970. */
  certificateEndsAt(): number {
    const pem = this.#certificate();
    // It is asked for each second, and seldom another one.
    if (this.#ending?.pem !== pem) this.#ending = { pem, at: new X509Certificate(pem).validToDate.getTime() };
    return this.#ending.at;
  }

  /** Resolved when everything that is committed now is in the ledger. */
  caughtUp(): Promise<void> {
    return this.#counting.caughtUp();
  }

  /** Calls `listener` each second, after everything was updated. @returns how to stop that */
  onTick(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** To be called while the queues are open. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.alerts.close();
    await this.ledger.flush();
    this.#closed = true;
    this.#listeners.clear();
    this.commits.close();
  }

  #tick(): void {
    this.rates.tick(Date.now(), this.#queues.list());
    this.alerts.tick();
    for (const listener of this.#listeners) {
      try {
        listener();
      } catch (error) {
        this.#log.error({ err: error }, 'what looks at the server each second failed');
      }
    }
  }
}

function damagedItems(ledger: Ledger): number {
  return ledger.of(ALL_SENSORS).reduce((sum, series) => sum + series.total('damagedRecords'), 0);
}
