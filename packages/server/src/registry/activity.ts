import { isRefusalCode, type RefusalCode, type SensorId } from '@d4ts/protocol';
import type { Activity, ClaimedRefusal, Knock, RefusalCount, SensorActivity } from './port.ts';
import { RecentList } from './recent-list.ts';

/** Entries of the bounded lists, in all and for one address. */
const RECENT = 1_000;
const RECENT_PER_ADDRESS = 100;
const DAY_MS = 86_400_000;

/** The day (UTC) of a time, in days since 1970. @param time ms since 1970 */
export function dayOf(time: number): number {
  return Math.floor(time / DAY_MS);
}

/** What a sensor has sent on the day of a time, in bytes. @param time ms since 1970 */
export function bytesOfDay({ today }: Pick<SensorActivity, 'today'>, time: number): number {
  return today.day === dayOf(time) ? today.bytes : 0;
}

/** What is to be made durable; an undefined struct is to be removed. */
export interface ActivityChanges {
  readonly sensors: ReadonlyMap<SensorId, SensorActivity | undefined>;
  readonly refusalTotals: Partial<Record<RefusalCode, number>> | undefined;
  /** The oldest first. */
  readonly claimedRefusals: readonly ClaimedRefusal[] | undefined;
  readonly knocks: readonly Knock[] | undefined;
}

/** What was made durable earlier; codes that are unknown now are left out. */
export interface ActivityState {
  readonly sensors: ReadonlyMap<
    SensorId,
    Omit<SensorActivity, 'refusals'> & { refusals: Record<string, RefusalCount> }
  >;
  readonly refusalTotals: Readonly<Record<string, number>>;
  readonly claimedRefusals: readonly (Omit<ClaimedRefusal, 'code' | 'claimed'> & {
    code: string;
    claimed?: SensorId | undefined;
  })[];
  readonly knocks: readonly Knock[];
}

/** Counters and last-seen facts in memory, which knows what has changed since it was last made durable. */
export class MemoryActivity implements Activity {
  readonly #sensors = new Map<SensorId, SensorActivity>();
  readonly #refusalTotals: Partial<Record<RefusalCode, number>> = {};
  readonly #claimedRefusals = new RecentList<ClaimedRefusal>(RECENT, RECENT_PER_ADDRESS);
  readonly #knocks = new RecentList<Knock>(RECENT, RECENT_PER_ADDRESS);
  readonly #changedSensors = new Set<SensorId>();
  #changedTotals = false;
  #changedClaimedRefusals = false;
  #changedKnocks = false;

  constructor(state: ActivityState) {
    for (const [uuid, { refusals, ...facts }] of state.sensors) {
      this.#sensors.set(uuid, { ...facts, refusals: withKnownCodes(refusals) });
    }
    Object.assign(this.#refusalTotals, withKnownCodes(state.refusalTotals));
    for (const { code, claimed, ...refusal } of state.claimedRefusals) {
      if (isRefusalCode(code)) {
        this.#claimedRefusals.set(keyOfRefusal(refusal.address, code, claimed), { ...refusal, code, claimed });
      }
    }
    for (const knock of state.knocks) this.#knocks.set(keyOfKnock(knock), knock);
  }

  sensor(uuid: SensorId): SensorActivity {
    const known = this.#sensors.get(uuid);
    if (known !== undefined) return known;
    const today = { day: 0, bytes: 0 };
    const made: SensorActivity = { firstSeen: 0, lastSeen: 0, lastAddress: '', today, topics: {}, refusals: {} };
    this.#sensors.set(uuid, made);
    return made;
  }

  find(uuid: SensorId): SensorActivity | undefined {
    return this.#sensors.get(uuid);
  }

  entries(): IterableIterator<[SensorId, SensorActivity]> {
    return this.#sensors.entries();
  }

  touch(uuid: SensorId): void {
    this.#changedSensors.add(uuid);
  }

  refused(refusal: Parameters<Activity['refused']>[0]): void {
    const { code, address, sensor, verified, at } = refusal;
    this.#refusalTotals[code] = (this.#refusalTotals[code] ?? 0) + 1;
    this.#changedTotals = true;
    if (verified && sensor !== undefined) {
      const { refusals } = this.sensor(sensor);
      refusals[code] = { count: (refusals[code]?.count ?? 0) + 1, lastAt: at, lastAddress: address };
      this.touch(sensor);
      return;
    }
    const key = keyOfRefusal(address, code, sensor);
    const earlier = this.#claimedRefusals.get(key);
    this.#claimedRefusals.set(key, {
      address,
      code,
      claimed: sensor,
      count: (earlier?.count ?? 0) + 1,
      firstAt: earlier?.firstAt ?? at,
      lastAt: at,
    });
    this.#changedClaimedRefusals = true;
  }

  knocked({ uuid, address, type, at }: Parameters<Activity['knocked']>[0]): void {
    const key = keyOfKnock({ uuid, address });
    const earlier = this.#knocks.get(key);
    const count = (earlier?.count ?? 0) + 1;
    this.#knocks.set(key, { uuid, address, type, count, firstAt: earlier?.firstAt ?? at, lastAt: at });
    this.#changedKnocks = true;
  }

  forget(uuid: SensorId): void {
    if (this.#sensors.delete(uuid)) this.#changedSensors.add(uuid);
    if (this.#claimedRefusals.deleteWhere((each) => each.claimed === uuid)) this.#changedClaimedRefusals = true;
    if (this.#knocks.deleteWhere((each) => each.uuid === uuid)) this.#changedKnocks = true;
  }

  refusalTotals(): Partial<Record<RefusalCode, number>> {
    return { ...this.#refusalTotals };
  }

  claimedRefusals(): ClaimedRefusal[] {
    return this.#claimedRefusals.latestFirst();
  }

  knocks(): Knock[] {
    return this.#knocks.latestFirst();
  }

  /** What has changed since `changesSaved` was last called; undefined where nothing has. */
  changes(): ActivityChanges | undefined {
    const changed =
      this.#changedSensors.size > 0 || this.#changedTotals || this.#changedClaimedRefusals || this.#changedKnocks;
    if (!changed) return undefined;
    return {
      sensors: new Map([...this.#changedSensors].map((uuid) => [uuid, this.#sensors.get(uuid)])),
      refusalTotals: this.#changedTotals ? this.#refusalTotals : undefined,
      claimedRefusals: this.#changedClaimedRefusals ? this.#claimedRefusals.oldestFirst() : undefined,
      knocks: this.#changedKnocks ? this.#knocks.oldestFirst() : undefined,
    };
  }

  /** Says that all of `changes` is durable; to be called before anything else can change. */
  changesSaved(): void {
    this.#changedSensors.clear();
    this.#changedTotals = false;
    this.#changedClaimedRefusals = false;
    this.#changedKnocks = false;
  }
}

function withKnownCodes<V>(byCode: Readonly<Record<string, V>>): Partial<Record<RefusalCode, V>> {
  const known: Partial<Record<RefusalCode, V>> = {};
  for (const [code, value] of Object.entries(byCode)) {
    if (isRefusalCode(code)) known[code] = value;
  }
  return known;
}

function keyOfRefusal(address: string, code: RefusalCode, claimed: SensorId | undefined): string {
  return `${address} ${code} ${claimed ?? ''}`;
}

function keyOfKnock({ uuid, address }: { uuid: SensorId; address: string }): string {
  return `${address} ${uuid}`;
}
