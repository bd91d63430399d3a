import type { SensorId } from '@d4ts/protocol';

/** An unfinished record up to this length needs no room, in bytes. */
const SMALL_BYTES = 64 * 1024;
/** A sensor gets room for one record, or so much of the whole. */
const SENSOR_SHARE = 1 / 4;

/** A session that holds an unfinished record. */
export interface RoomMember {
  /** Tells it to ask again. */
  updateHold(): void;
}

/**
 * Memory for unfinished records: a line of a filewatcher may have 64 MiB, and can only get whole by being read on. Who
 * is about to hold a large one gets room for the longest that its format allows, or waits without being read: nothing
 * is lost, and what all sessions hold is bounded.
 */
export class RecordRoom<M extends RoomMember> {
  readonly #limit: number;
  readonly #granted = new Map<M, { readonly sensor: SensorId; readonly bytes: number }>();
  readonly #ofSensor = new Map<SensorId, number>();
  readonly #waiting = new Set<M>();
  #bytes = 0;

  /** @param limit bytes that all together get */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /**
   * @param held bytes of the unfinished record
   * @param most the largest record of its format, in bytes
   * @returns whether the session may be read
   */
  admits(member: M, sensor: SensorId, held: number, most: number): boolean {
    if (held <= SMALL_BYTES) {
      if (this.#granted.size > 0) this.leave(member);
      return true;
    }
    if (this.#granted.has(member)) return true;
    const own = this.#ofSensor.get(sensor) ?? 0;
    const fits = own === 0 || own + most <= this.#limit * SENSOR_SHARE;
    if (!fits || (this.#bytes > 0 && this.#bytes + most > this.#limit)) {
      this.#waiting.add(member);
      return false;
    }
    this.#waiting.delete(member);
    this.#granted.set(member, { sensor, bytes: most });
    this.#ofSensor.set(sensor, own + most);
    this.#bytes += most;
    return true;
  }

  /** The session holds no large record any more. */
  leave(member: M): void {
    this.#waiting.delete(member);
    const grant = this.#granted.get(member);
    if (grant === undefined) return;
    this.#granted.delete(member);
    this.#bytes -= grant.bytes;
    const left = (this.#ofSensor.get(grant.sensor) ?? 0) - grant.bytes;
    if (left > 0) this.#ofSensor.set(grant.sensor, left);
    else this.#ofSensor.delete(grant.sensor);
    for (const waiting of [...this.#waiting]) waiting.updateHold();
  }

  /** Who has room while others wait for it. */
  get blocking(): readonly M[] {
    return this.#waiting.size === 0 ? [] : [...this.#granted.keys()];
  }
}
