import type { SensorId } from '@d4ts/protocol';

export const ALERT_KINDS = ['silent', 'back', 'damaged', 'test'] as const;
export type AlertKind = (typeof ALERT_KINDS)[number];

/** What an alert says of a sensor. */
export interface AlertedSensor {
  readonly uuid: SensorId;
  readonly description: string;
  /** The address of who looks after it. */
  readonly mail: string;
  /** Its last verified frame, ms since 1970; null where there never was one. */
  readonly lastSeen: number | null;
  readonly expectedIntervalSeconds: number;
}

/** What became of an alert on one of the ways. */
export interface Delivery {
  readonly way: 'webhook' | 'mail';
  /** Undefined where it arrived. */
  readonly error: string | undefined;
  readonly attempts: number;
}

/** What is known to be damaged: files that were set aside in the home, by name, and items of the journal that cannot be read. */
export interface Damage {
  readonly files: readonly string[];
  readonly items: number;
}

/** One message to people: of one sensor, or of all that fell silent together; or of damage. */
export interface Alert {
  readonly id: number;
  readonly kind: AlertKind;
  /** ms since 1970 */
  readonly at: number;
  /** How many sensors, or damaged files and items, it is about. */
  readonly count: number;
  /** The first 100 of them. */
  readonly sensors: readonly AlertedSensor[];
  /** For people, one line. */
  readonly summary: string;
}

/** An alert, and what became of it. */
export interface SentAlert extends Alert {
  readonly deliveries: readonly Delivery[];
}

/** A way to tell people. */
export interface AlertWay {
  readonly name: Delivery['way'];
  /** @throws where it did not arrive; the message says why and holds no secret */
  send(alert: Alert): Promise<void>;
}

/** The section `alerts` of the settings. */
export interface AlertSettings {
  readonly webhook?: string;
  readonly gatherSeconds: number;
  readonly smtp: {
    readonly host?: string;
    readonly port: number;
    readonly tls: 'starttls' | 'implicit' | 'none';
    readonly user?: string;
    readonly password?: string;
    readonly from?: string;
    readonly to?: string;
  };
}
