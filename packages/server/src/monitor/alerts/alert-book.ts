import type { SensorId } from '@d4ts/protocol';
import Type, { type Static } from 'typebox';
import Value from 'typebox/value';
import type { Registry } from '../../registry/port.ts';
import type { ReportedSensor } from './flap-suppression.ts';
import { ALERT_KINDS, type Damage, type SentAlert } from './port.ts';

const ROLE = 'alerts';
/** Alerts that are kept. */
const KEPT = 500;

const SensorSchema = Type.Object({
  uuid: Type.Unsafe<SensorId>(Type.String()),
  description: Type.String(),
  mail: Type.String(),
  lastSeen: Type.Union([Type.Number(), Type.Null()]),
  expectedIntervalSeconds: Type.Number(),
});

const BookSchema = Type.Object({
  nextId: Type.Integer({ minimum: 1 }),
  alerts: Type.Array(
    Type.Object({
      id: Type.Integer(),
      kind: Type.Enum([...ALERT_KINDS]),
      at: Type.Number(),
      count: Type.Integer(),
      sensors: Type.Array(SensorSchema),
      summary: Type.String(),
      deliveries: Type.Array(
        Type.Object({
          way: Type.Enum(['webhook', 'mail']),
          error: Type.Union([Type.String(), Type.Null()]),
          attempts: Type.Integer(),
        }),
      ),
    }),
  ),
  /** What people were told is damaged. */
  damage: Type.Optional(Type.Object({ files: Type.Array(Type.String()), items: Type.Integer() })),
  reported: Type.Array(
    Type.Object({
      sensor: Type.Unsafe<SensorId>(Type.String()),
      reported: Type.Boolean(),
      heardSince: Type.Union([Type.Number(), Type.Null()]),
      flaps: Type.Integer(),
      lastSilentAt: Type.Number(),
    }),
  ),
});
type Book = Static<typeof BookSchema>;

/** Sensors in the history of one alert: the alert itself has more. */
const SENSORS_KEPT = 20;

/** What was said, and of whom: kept over restarts, so that nothing is said twice. */
export class AlertBook {
  readonly #registry: Pick<Registry, 'loadProgress' | 'saveProgress'>;
  #nextId = 1;
  #alerts: SentAlert[] = [];
  /** What people were told is damaged. */
  damage: Damage = { files: [], items: 0 };
  /** As it was saved. */
  readonly reported: readonly [SensorId, ReportedSensor][] = [];

  constructor(registry: Pick<Registry, 'loadProgress' | 'saveProgress'>) {
    this.#registry = registry;
    const book = bookFrom(registry.loadProgress(ROLE));
    if (book === undefined) return;
    this.#nextId = book.nextId;
    this.damage = book.damage ?? this.damage;
    this.#alerts = book.alerts.map(({ deliveries, ...alert }) => ({
      ...alert,
      deliveries: deliveries.map(({ error, ...delivery }) => ({ ...delivery, error: error ?? undefined })),
    }));
    this.reported = book.reported.map(({ sensor, heardSince, ...state }) => [
      sensor,
      { ...state, heardSince: heardSince ?? undefined },
    ]);
  }

  takeId(): number {
    const id = this.#nextId;
    this.#nextId += 1;
    return id;
  }

  /** The newest first. */
  list(limit: number): SentAlert[] {
    return this.#alerts.slice(-limit).reverse();
  }

  add(alert: SentAlert): void {
    this.#alerts = [...this.#alerts, { ...alert, sensors: alert.sensors.slice(0, SENSORS_KEPT) }].slice(-KEPT);
  }

  async save(reported: readonly [SensorId, ReportedSensor][]): Promise<void> {
    const book: Book = {
      nextId: this.#nextId,
      alerts: this.#alerts.map(({ deliveries, sensors, ...alert }) => ({
        ...alert,
        sensors: [...sensors],
        deliveries: deliveries.map(({ error, ...delivery }) => ({ ...delivery, error: error ?? null })),
      })),
      damage: { files: [...this.damage.files], items: this.damage.items },
      reported: reported.map(([sensor, { heardSince, ...state }]) => ({
        sensor,
        ...state,
        heardSince: heardSince ?? null,
      })),
    };
    await this.#registry.saveProgress(ROLE, JSON.stringify(book));
  }
}

/** One that cannot be read is as good as none: then what is silent is said again. */
function bookFrom(text: string | undefined): Book | undefined {
  if (text === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return Value.Check(BookSchema, value) ? value : undefined;
  } catch {
    return undefined;
  }
}
