import { sensorIdFrom } from '@d4ts/protocol';
import type { Registry, Sensor, Versioned } from '../registry/port.ts';
import { pageOf } from './pages.ts';
import type { SensorFacets, SensorQuery, SensorSort } from './sensor-list-schemas.ts';
import type { SensorView } from './sensor-schemas.ts';
import { countByState, SENSOR_STATES } from './sensor-state.ts';
import type { SensorViews } from './sensor-view.ts';
import { sortedPage } from './sorted-page.ts';
import { typeName } from './type-name.ts';

type Listed = Versioned<Sensor>;

/**
 * One page of the sensors that a query asks for.
 * @throws {D4Error} D4_BAD_REQUEST (not a cursor), D4_BAD_TYPE
 */
export function sensorPage(registry: Registry, views: SensorViews, query: SensorQuery) {
  const wanted = filterOf(registry, views, query);
  const found = [...registry.sensors.entries()].map(([, sensor]) => sensor).filter(wanted);
  const view = (sensor: Listed): SensorView => views.view(sensor);
  const { sort = 'uuid', descending = false } = query;
  if (sort === 'uuid' && !descending) return pageOf(found, ({ value }) => value.uuid, view, query);
  const sortValue = SORT_VALUES[sort];
  return sortedPage(
    found.map((sensor) => ({ item: sensor, value: sortValue(sensor.value, registry, views), key: sensor.value.uuid })),
    view,
    { ...query, descending },
  );
}

/** What there is to filter by, and how often. */
export function sensorFacets(registry: Registry, views: SensorViews): SensorFacets {
  const sensors = [...registry.sensors.entries()].map(([, { value }]) => value);
  const topicsOf = ({ uuid }: Sensor) => Object.keys(registry.activity.find(uuid)?.topics ?? {});
  return {
    total: sensors.length,
    byState: countByState(sensors.map((sensor) => views.state(sensor).state)),
    tags: counted(sensors.flatMap(({ tags = [] }) => tags)),
    types: counted(sensors.flatMap(topicsOf)),
    mails: counted(sensors.flatMap(({ mail }) => (mail === '' ? [] : [mail]))),
    groups: groupsOf(registry),
  };
}

/** Behind every text. */
const LAST = '\u{10ffff}';

const SORT_VALUES: Record<SensorSort, (sensor: Sensor, registry: Registry, views: SensorViews) => string | number> = {
  uuid: ({ uuid }) => uuid,
  name: shownName,
  mail: ({ mail }) => mail.toLocaleLowerCase('en'),
  state: (sensor, _registry, views) => SENSOR_STATES.indexOf(views.state(sensor).state),
  lastSeen: ({ uuid }, registry) => registry.activity.find(uuid)?.lastSeen ?? 0,
  bytesToday: (sensor, _registry, views) => views.bytesToday(sensor),
  createdAt: ({ createdAt }) => createdAt,
};

/** As lists show a sensor; those of which nothing can be shown are last. */
function shownName({ name, description }: Sensor): string {
  return (name || description).toLocaleLowerCase('en') || LAST;
}

function filterOf(registry: Registry, views: SensorViews, query: SensorQuery): (sensor: Listed) => boolean {
  const { registration, tag, mail } = query;
  const states = query.state === undefined ? undefined : new Set(query.state.split(','));
  const topic = query.type === undefined ? undefined : typeName(query.type);
  const group = query.group === undefined ? undefined : sensorsOfGroup(registry, query.group);
  const text = query.text?.toLocaleLowerCase('en');
  const conditions: ((sensor: Sensor) => boolean)[] = [];
  if (registration !== undefined) conditions.push(({ state }) => state === registration);
  if (tag !== undefined) conditions.push(({ tags = [] }) => tags.includes(tag));
  if (mail !== undefined) conditions.push((sensor) => sensor.mail === mail);
  if (group !== undefined) conditions.push(({ uuid }) => group === 'all' || group.has(uuid));
  if (topic !== undefined) conditions.push(({ uuid }) => registry.activity.find(uuid)?.topics[topic] !== undefined);
  if (text !== undefined) {
    conditions.push((sensor) => textOf(sensor, registry).includes(text));
  }
  // The dearest last.
  if (states !== undefined) conditions.push((sensor) => states.has(views.state(sensor).state));
  return ({ value }) => conditions.every((holds) => holds(value));
}

function textOf({ uuid, name = '', description, mail, tags = [] }: Sensor, { activity }: Registry): string {
  const address = activity.find(uuid)?.lastAddress ?? '';
  return [uuid, uuid.replaceAll('-', ''), name, description, mail, ...tags, address].join('\n').toLocaleLowerCase('en');
}

function groupsOf(registry: Registry): SensorFacets['groups'] {
  const found: SensorFacets['groups'] = [];
  for (const [uuid, { value }] of registry.queues.entries()) {
    const sensors = value.filters.at(-1)?.sensors ?? 'all';
    if (sensors === 'all') continue;
    const registered = sensors.filter((sensor) => registry.sensors.get(sensor) !== undefined).length;
    found.push({ value: uuid, topic: value.topic, description: value.description, sensors: registered });
  }
  return found.sort((a, b) => (a.description < b.description ? -1 : a.description > b.description ? 1 : 0));
}

/** The sensors whose records a queue takes now; none where there is no such queue. */
function sensorsOfGroup({ queues }: Registry, uuid: string): ReadonlySet<string> | 'all' {
  const queue = queues.get(sensorIdFrom(uuid) ?? uuid)?.value;
  const sensors = queue?.filters.at(-1)?.sensors ?? [];
  return sensors === 'all' ? 'all' : new Set(sensors);
}

function counted(values: readonly string[]): { value: string; sensors: number }[] {
  const counts = Map.groupBy(values, (value) => value);
  return [...counts]
    .map(([value, { length }]) => ({ value, sensors: length }))
    .sort((a, b) => b.sensors - a.sensors || (a.value < b.value ? -1 : 1));
}
