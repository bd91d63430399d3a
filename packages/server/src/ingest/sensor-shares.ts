import type { SensorId } from '@d4ts/protocol';
import type { Activity } from '../registry/port.ts';
import { type SensorBounds, SensorShare, type ShareMember } from './sensor-share.ts';

/** What the shares need of the rest of the server. */
export interface SharesOptions {
  readonly waitingBytes: number;
  readonly activity: Activity;
  readonly boundsOf: (sensor: SensorId) => SensorBounds;
  readonly now: () => number;
  readonly wall: () => number;
}

/** The shares of all sensors that are connected, or were a moment ago. */
export class SensorShares {
  readonly #options: SharesOptions;
  readonly #shares = new Map<SensorId, SensorShare>();
  #lifted = false;

  constructor(options: SharesOptions) {
    this.#options = options;
  }

  /** A connection of a sensor is proved. */
  join(sensor: SensorId, member: ShareMember): SensorShare {
    let share = this.#shares.get(sensor);
    if (share === undefined) {
      const { waitingBytes, activity, boundsOf, now, wall } = this.#options;
      share = new SensorShare({
        waitingBytes,
        bounds: boundsOf(sensor),
        activity: activity.sensor(sensor),
        now,
        wall,
      });
      if (this.#lifted) share.lift();
      this.#shares.set(sensor, share);
    }
    share.join(member);
    return share;
  }

  /** The registry's document of a sensor has changed. */
  changed(sensor: SensorId): void {
    this.#shares.get(sensor)?.setBounds(this.#options.boundsOf(sensor));
  }

  /** The sensor is no longer registered; its connections are closed. */
  forget(sensor: SensorId): void {
    this.#shares.get(sensor)?.stop();
    this.#shares.delete(sensor);
  }

  /** As `SensorShare.lift`, for all. */
  lift(): void {
    this.#lifted = true;
    for (const share of this.#shares.values()) share.lift();
  }

  tick(): void {
    for (const [sensor, share] of this.#shares) {
      if (share.isIdle) this.#shares.delete(sensor);
      else share.tick();
    }
  }

  stop(): void {
    for (const share of this.#shares.values()) share.stop();
  }
}
