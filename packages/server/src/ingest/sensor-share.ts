import { bytesOfDay, dayOf } from '../registry/activity.ts';
import type { Sensor, SensorActivity } from '../registry/port.ts';

/** What a paced sensor may send at once after a rest: so many ms of its rate, and at least so many bytes. */
const BURST_MS = 1_000;
const MIN_BURST_BYTES = 64 * 1024;

/** A connection of a sensor. */
export interface ShareMember {
  /** Tells it to look again whether it is to be read. */
  updateHold(): void;
}

/** What a sensor may send; unlimited where nothing is said. */
export type SensorBounds = Pick<Sensor, 'maxBytesPerSecond' | 'maxBytesPerDay'>;

/** What a share is made for. */
export interface ShareOptions {
  /** Bytes of the sensor that may wait for the journal; beyond, none of its sockets is read until half is left. */
  readonly waitingBytes: number;
  readonly bounds: SensorBounds;
  readonly activity: Pick<SensorActivity, 'today'>;
  /** Monotonic, and the wall clock, in ms. */
  readonly now: () => number;
  readonly wall: () => number;
}

/**
 * What all connections of one sensor share, so that it cannot starve others: its rate, its bytes of the day, and what
 * of it waits for the journal, which is what it can get of a commit. Beyond any of them none of its sockets is read for a
 * while: it waits, and nothing is lost.
 */
export class SensorShare {
  readonly #options: ShareOptions;
  readonly #members = new Set<ShareMember>();
  #bounds: SensorBounds;
  #waiting = 0;
  #full = false;
  /** Bytes that may be read at once, as of `#tokensAt`; below 0 the sensor waits. */
  #tokens: number;
  #tokensAt: number;
  #refill: NodeJS.Timeout | undefined;
  #lifted = false;
  #holds = false;

  constructor(options: ShareOptions) {
    this.#options = options;
    this.#bounds = options.bounds;
    this.#tokens = burstOf(options.bounds);
    this.#tokensAt = options.now();
    this.#update();
  }

  /** Whether the sensor's sockets are not to be read. */
  get holds(): boolean {
    return this.#holds;
  }

  /** Whether nothing would be forgotten with it. */
  get isIdle(): boolean {
    return this.#members.size === 0 && this.#waiting === 0 && this.#tokensNow() >= burstOf(this.#bounds);
  }

  join(member: ShareMember): void {
    this.#members.add(member);
  }

  leave(member: ShareMember): void {
    this.#members.delete(member);
  }

  /** Bytes have come over one of the connections. */
  received(bytes: number): void {
    const { activity, wall } = this.#options;
    const now = wall();
    activity.today = { day: dayOf(now), bytes: bytesOfDay(activity, now) + bytes };
    if (this.#bounds.maxBytesPerSecond !== undefined) this.#setTokens(this.#tokensNow() - bytes);
    this.#update();
  }

  /** What waits for the journal has grown by so many bytes, or shrunk. */
  add(bytes: number): void {
    this.#waiting += bytes;
    const { waitingBytes } = this.#options;
    if (this.#waiting > waitingBytes) this.#full = true;
    else if (this.#waiting <= waitingBytes / 2) this.#full = false;
    this.#update();
  }

  /** The sensor may send more or less from now on. */
  setBounds(bounds: SensorBounds): void {
    const tokens = this.#tokensNow();
    this.#bounds = bounds;
    const burst = burstOf(bounds);
    this.#setTokens(Math.max(-burst, Math.min(burst, tokens)));
    this.#update();
  }

  /** From now on rate and quota do not count: the server stops, and takes what has arrived. */
  lift(): void {
    this.#lifted = true;
    this.#update();
  }

  /** The day may be over. */
  tick(): void {
    this.#update();
  }

  stop(): void {
    clearTimeout(this.#refill);
  }

  #tokensNow(): number {
    const { maxBytesPerSecond: rate } = this.#bounds;
    if (rate === undefined) return Number.POSITIVE_INFINITY;
    const refilled = ((this.#options.now() - this.#tokensAt) * rate) / 1_000;
    return Math.min(burstOf(this.#bounds), this.#tokens + refilled);
  }

  #setTokens(tokens: number): void {
    this.#tokens = tokens;
    this.#tokensAt = this.#options.now();
  }

  /** Whether the sensor has sent more than its rate allows; looks again when it has not any more. */
  #isTooFast(): boolean {
    const { maxBytesPerSecond: rate } = this.#bounds;
    const tokens = this.#tokensNow();
    if (rate === undefined || tokens >= 0) return false;
    clearTimeout(this.#refill);
    this.#refill = setTimeout(() => this.#update(), Math.ceil((-tokens * 1_000) / rate));
    return true;
  }

  #isOverQuota(): boolean {
    const { maxBytesPerDay } = this.#bounds;
    const { activity, wall } = this.#options;
    return maxBytesPerDay !== undefined && bytesOfDay(activity, wall()) >= maxBytesPerDay;
  }

  #update(): void {
    const limited = !this.#lifted && (this.#isOverQuota() || this.#isTooFast());
    const holds = limited || this.#full;
    if (holds === this.#holds) return;
    this.#holds = holds;
    for (const member of this.#members) member.updateHold();
  }
}

function burstOf({ maxBytesPerSecond: rate }: SensorBounds): number {
  return rate === undefined ? Number.POSITIVE_INFINITY : Math.max(MIN_BURST_BYTES, (rate * BURST_MS) / 1_000);
}
