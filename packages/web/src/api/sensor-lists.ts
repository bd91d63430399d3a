import type { InfiniteData, Query, QueryClient } from '@tanstack/react-query';
import type { Schemas } from './client.ts';

type Sensor = Schemas['Sensor'];
type List = InfiniteData<Schemas['SensorPage']>;

/** What an event says of a sensor whose state has changed; null where it is gone. */
export interface StateChange {
  readonly uuid: string;
  readonly state: Sensor['state'] | null;
  readonly refusedFor: string | null;
}

/** A list that somebody has scrolled through has many parts, and each would be asked for anew. */
const SHORT_PARTS = 3;

/** How many parts of a list are known. */
export function partsOf(data: unknown): number {
  return (data as List | undefined)?.pages.length ?? 0;
}

/** Whether a query is a list that is too long to be asked for anew with each change. */
export function isLongList({ queryKey, state }: Query): boolean {
  return queryKey[0] === 'sensors' && queryKey[1] === 'list' && partsOf(state.data) > SHORT_PARTS;
}

/** Puts states that have changed into the lists that are shown; only sensors that are about something else are new objects. */
export function changeStates(client: QueryClient, changes: readonly StateChange[]): void {
  const byUuid = new Map(changes.map((change) => [change.uuid, change]));
  client.setQueriesData<List>({ queryKey: ['sensors', 'list'] }, (list) => {
    if (list === undefined) return undefined;
    const pages = list.pages.map((page) => {
      if (!page.items.some(({ uuid }) => byUuid.has(uuid))) return page;
      return { ...page, items: page.items.map((sensor) => changed(sensor, byUuid.get(sensor.uuid))) };
    });
    return { ...list, pages };
  });
}

function changed(sensor: Sensor, change: StateChange | undefined): Sensor {
  if (change === undefined || change.state === null) return sensor;
  return { ...sensor, state: change.state, refusedFor: change.refusedFor as Sensor['refusedFor'] };
}
