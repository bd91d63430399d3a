import { SENSOR_STATES, type SensorState } from '../../parts/sensor-states.ts';

/** What can be sorted by. */
export const SENSOR_ORDERS = ['name', 'state', 'lastSeen', 'bytesToday', 'createdAt', 'mail'] as const;
export type SensorOrder = (typeof SENSOR_ORDERS)[number];

/** What the sensors' address says: which are shown, and in what order. */
export interface SensorsSearch {
  readonly text?: string;
  readonly state?: SensorState;
  readonly type?: string;
  readonly tag?: string;
  /** The owner's. */
  readonly mail?: string;
  /** A queue's uuid: the sensors that it is of. */
  readonly group?: string;
  readonly by?: SensorOrder;
  readonly descending?: boolean;
  /** Whether the search takes the focus at once. */
  readonly focus?: boolean;
}

/** Reads the address; what makes no sense is left out. */
export function sensorsSearch({
  text,
  state,
  type,
  tag,
  mail,
  group,
  by,
  descending,
  focus,
}: Record<string, unknown>): SensorsSearch {
  const knownState = SENSOR_STATES.find((known) => known === state);
  const order = SENSOR_ORDERS.find((known) => known === by);
  return {
    ...(typeof text === 'string' && text !== '' && { text }),
    ...(knownState !== undefined && { state: knownState }),
    ...((typeof type === 'string' || typeof type === 'number') && type !== '' && { type: String(type) }),
    ...(typeof tag === 'string' && tag !== '' && { tag }),
    ...(typeof mail === 'string' && mail !== '' && { mail }),
    ...(typeof group === 'string' && group !== '' && { group }),
    ...(order !== undefined && { by: order }),
    ...(descending === true && { descending }),
    ...(focus === true && { focus }),
  };
}

/** Whether not all sensors are shown. */
export function isFiltered({ text, state, type, tag, mail, group }: SensorsSearch): boolean {
  return [text, state, type, tag, mail, group].some((filter) => filter !== undefined);
}
