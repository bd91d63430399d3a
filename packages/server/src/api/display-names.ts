import { sensorIdFrom } from '@d4ts/protocol';
import type { Registry } from '../registry/port.ts';

/** So many elements of a list are looked at: a group may have thousands. */
const LIST_SHOWN = 50;

/** What people call a sensor: its name, else the first line of its description; empty where it has neither or is not there. */
export function sensorTitle(registry: Registry, uuid: string): string {
  const sensor = registry.sensors.get(uuid)?.value;
  return sensor === undefined ? '' : sensor.name || firstLine(sensor.description);
}

/** What the sensors and queues that stand somewhere in these values are called now, by uuid; those without a name are left out. */
export function namesIn(registry: Registry, values: Iterable<unknown>): Record<string, string> {
  const names: Record<string, string> = {};
  for (const text of textsIn(values)) {
    if (text in names || sensorIdFrom(text) === undefined) continue;
    const name = sensorTitle(registry, text) || firstLine(registry.queues.get(text)?.value.description ?? '');
    if (name !== '') names[text] = name;
  }
  return names;
}

function* textsIn(values: Iterable<unknown>): Generator<string> {
  for (const value of values) {
    if (typeof value === 'string') yield value;
    else if (Array.isArray(value)) yield* textsIn(value.slice(0, LIST_SHOWN));
    else if (typeof value === 'object' && value !== null) yield* textsIn(Object.values(value));
  }
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0]?.trim() ?? '';
}
