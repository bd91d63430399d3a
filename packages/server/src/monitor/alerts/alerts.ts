import { setTimeout as delay } from 'node:timers/promises';
import type { SensorId } from '@d4ts/protocol';
import type { Logger } from 'pino';
import type { Registry, Sensor } from '../../registry/port.ts';
import { AlertBook } from './alert-book.ts';
import { FlapSuppression } from './flap-suppression.ts';
import { mail } from './mail.ts';
import type { Alert, AlertedSensor, AlertKind, AlertSettings, AlertWay, Damage, Delivery, SentAlert } from './port.ts';
import type { Silence } from './silence.ts';
import { webhook } from './webhook.ts';

/** An alert that does not arrive is sent again after these times, in ms. */
const RETRIES_MS = [2_000, 15_000, 60_000];
/** Sensors that one alert names. */
const MAX_SENSORS = 100;
/** How often it is looked for damage, in seconds. */
const DAMAGE_SECONDS = 5;
/** Damaged files that one alert names. */
const MAX_FILES = 5;

export interface AlertsOptions {
  readonly registry: Registry;
  readonly silence: Silence;
  readonly settings: AlertSettings;
  readonly damage: () => Damage;
  readonly log: Logger;
  /** ms since 1970 */
  readonly now?: () => number;
}

/**
 * Tells people of watched sensors that have fallen silent, and that are back, and of damage: by web hook and mail. All that
 * falls silent within the gathering time is one message.
 */
export class Alerts {
  readonly #options: AlertsOptions;
  readonly #now: () => number;
  readonly #book: AlertBook;
  readonly #flaps: FlapSuppression;
  readonly #ways: readonly AlertWay[];
  readonly #stopping = new AbortController();
  readonly #sending = new Set<Promise<unknown>>();
  #gathered: Record<'silent' | 'back', Set<SensorId>> = { silent: new Set(), back: new Set() };
  #gatheringSince: number | undefined;
  #seconds = 0;

  constructor(options: AlertsOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#book = new AlertBook(options.registry);
    this.#flaps = new FlapSuppression(this.#book.reported);
    const { settings } = options;
    const ways = [settings.webhook === undefined ? undefined : webhook(settings.webhook), mail(settings.smtp)];
    this.#ways = ways.filter((way) => way !== undefined);
  }

  /** On which ways people are told. */
  get ways(): Delivery['way'][] {
    return this.#ways.map(({ name }) => name);
  }

  /** The newest first. */
  list(limit: number): SentAlert[] {
    return this.#book.list(limit);
  }

  /** To be called each second. */
  tick(): void {
    const now = this.#now();
    if (this.#seconds % DAMAGE_SECONDS === 0) this.#lookForDamage();
    this.#seconds += 1;
    const { registry, silence, settings } = this.#options;
    const intervalOf = (uuid: SensorId): number | undefined => {
      const sensor = registry.sensors.get(uuid)?.value;
      if (sensor?.state !== 'approved' || sensor.expectedIntervalSeconds === undefined) return undefined;
      return sensor.expectedIntervalSeconds * 1_000;
    };
    const { fallen, back } = this.#flaps.update(new Set(silence.silent()), intervalOf, now);
    for (const uuid of fallen) {
      this.#gathered.silent.add(uuid);
      this.#gathered.back.delete(uuid);
    }
    for (const uuid of back) {
      // Both within one message cancel out.
      if (!this.#gathered.silent.delete(uuid)) this.#gathered.back.add(uuid);
    }
    if (fallen.length + back.length > 0) this.#gatheringSince ??= now;
    if (this.#gatheringSince === undefined || now - this.#gatheringSince < settings.gatherSeconds * 1_000) return;
    const { silent: silentNow, back: backNow } = this.#gathered;
    this.#gathered = { silent: new Set(), back: new Set() };
    this.#gatheringSince = undefined;
    for (const [kind, uuids] of [
      ['silent', silentNow],
      ['back', backNow],
    ] as const) {
      if (uuids.size > 0) this.#track(this.#tell(kind, [...uuids], RETRIES_MS));
    }
  }

  /** What was not damaged when people were last told is told; what was put right may be damaged again. */
  #lookForDamage(): void {
    const now = this.#options.damage();
    const before = this.#book.damage;
    this.#book.damage = now;
    const files = now.files.filter((name) => !before.files.includes(name));
    const items = Math.max(0, now.items - before.items);
    if (files.length + items === 0) return;
    const shown = files.slice(0, MAX_FILES).join(', ');
    const parts = [
      ...(items > 0 ? [`${items} items of the journal are damaged and cannot be read`] : []),
      ...(files.length > 0
        ? [`${files.length} damaged files were set aside in the home's folder damaged (${shown})`]
        : []),
    ];
    const said = { count: files.length + items, summary: `${parts.join('; ')}: look at the log and at d4 fsck` };
    this.#track(this.#tell('damaged', [], RETRIES_MS, said));
  }

  /** Sends a test on every way, once. @returns what became of it */
  test(): Promise<SentAlert> {
    return this.#tell('test', [], []);
  }

  /** Gives up what does not arrive. */
  async close(): Promise<void> {
    this.#stopping.abort();
    await Promise.allSettled(this.#sending);
    await this.#save();
  }

  #track(work: Promise<unknown>): void {
    this.#sending.add(work);
    void work.finally(() => this.#sending.delete(work));
  }

  async #tell(
    kind: AlertKind,
    uuids: readonly SensorId[],
    retries: readonly number[],
    said?: Pick<Alert, 'count' | 'summary'>,
  ): Promise<SentAlert> {
    const { log } = this.#options;
    const sensors = uuids.slice(0, MAX_SENSORS).flatMap((uuid) => this.#alerted(uuid));
    const { count, summary } = said ?? { count: uuids.length, summary: summaryOf(kind, uuids.length, sensors) };
    const alert: Alert = { id: this.#book.takeId(), kind, at: this.#now(), count, sensors, summary };
    log.warn({ alert: kind, sensors: uuids.slice(0, MAX_SENSORS), count }, summary);
    const deliveries = await Promise.all(this.#ways.map((way) => this.#deliver(way, alert, retries)));
    const sent = { ...alert, deliveries };
    this.#book.add(sent);
    await this.#save();
    return sent;
  }

  async #deliver(way: AlertWay, alert: Alert, retries: readonly number[]): Promise<Delivery> {
    for (let attempts = 1; ; attempts += 1) {
      try {
        await way.send(alert);
        return { way: way.name, error: undefined, attempts };
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        const wait = retries[attempts - 1];
        const isOver = wait === undefined || this.#stopping.signal.aborted;
        this.#options.log[isOver ? 'error' : 'warn'](
          { alert: alert.kind, way: way.name, why: message, attempts },
          isOver ? 'an alert did not arrive' : 'an alert did not arrive: it is sent again',
        );
        if (isOver) return { way: way.name, error: message, attempts };
        await delay(wait, undefined, { signal: this.#stopping.signal }).catch(() => undefined);
      }
    }
  }

  #alerted(uuid: SensorId): AlertedSensor[] {
    const { registry } = this.#options;
    const sensor: Sensor | undefined = registry.sensors.get(uuid)?.value;
    if (sensor === undefined) return [];
    const { description, mail: address, expectedIntervalSeconds = 0 } = sensor;
    const lastSeen = registry.activity.find(uuid)?.lastSeen || null;
    return [{ uuid, description, mail: address, lastSeen, expectedIntervalSeconds }];
  }

  async #save(): Promise<void> {
    try {
      await this.#book.save(this.#flaps.entries());
    } catch (error) {
      this.#options.log.error({ err: error }, 'cannot save which alerts were sent');
    }
  }
}

function summaryOf(kind: AlertKind, count: number, [first]: readonly AlertedSensor[]): string {
  if (kind === 'test') return 'This is a test of the alerts';
  const does = kind === 'silent' ? ['is silent', 'are silent'] : ['is back', 'are back'];
  if (count !== 1 || first === undefined) return `${count} sensors ${does[1]}`;
  return `sensor ${first.description === '' ? first.uuid : `${first.description} (${first.uuid})`} ${does[0]}`;
}
