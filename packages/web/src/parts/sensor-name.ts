import type { Schemas } from '../api/client.ts';
import { shortUuid } from './format.ts';

/** What a sensor is called: its name, else the first line of its description, else its uuid cut short. */
export function sensorName(sensor: Pick<Schemas['Sensor'], 'uuid' | 'name' | 'description'>): string {
  if (sensor.name !== '') return sensor.name;
  const line = sensor.description.split('\n', 1)[0]?.trim() ?? '';
  return line === '' ? shortUuid(sensor.uuid) : line;
}
