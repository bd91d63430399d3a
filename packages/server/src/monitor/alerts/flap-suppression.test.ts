import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newSensorId, type SensorId } from '@d4ts/protocol';
import { FlapSuppression } from './flap-suppression.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

class Sensors {
  readonly silent = new Set<SensorId>();
  readonly watched = new Set<SensorId>();
  now = 1_790_000_000_000;
  flaps = new FlapSuppression();

  /** Lets time pass. @returns what is news */
  after(ms: number): { fallen: SensorId[]; back: SensorId[] } {
    this.now += ms;
    return this.flaps.update(this.silent, (sensor) => (this.watched.has(sensor) ? MINUTE : undefined), this.now);
  }

  add(): SensorId {
    const sensor = newSensorId();
    this.watched.add(sensor);
    return sensor;
  }
}

const NOTHING = { fallen: [], back: [] };

test('a sensor is said to be silent once, and to be back when it was heard for its interval', () => {
  const sensors = new Sensors();
  const sensor = sensors.add();
  assert.deepEqual(sensors.after(0), NOTHING);
  sensors.silent.add(sensor);
  assert.deepEqual(sensors.after(1_000), { fallen: [sensor], back: [] });
  assert.deepEqual(sensors.after(HOUR), NOTHING);
  sensors.silent.delete(sensor);
  assert.deepEqual(sensors.after(1_000), NOTHING);
  assert.deepEqual(sensors.after(MINUTE - 1), NOTHING);
  assert.deepEqual(sensors.after(1), { fallen: [], back: [sensor] });
  assert.deepEqual(sensors.after(MINUTE), NOTHING);
});

test('a sensor that comes and goes is not said again until it stays, for longer each time', () => {
  const sensors = new Sensors();
  const sensor = sensors.add();
  sensors.silent.add(sensor);
  assert.deepEqual(sensors.after(0).fallen, [sensor]);
  for (let round = 0; round < 5; round++) {
    sensors.silent.delete(sensor);
    assert.deepEqual(sensors.after(MINUTE - 1), NOTHING);
    sensors.silent.add(sensor);
    assert.deepEqual(sensors.after(1), NOTHING, 'it was never said to be back');
  }
  sensors.silent.delete(sensor);
  assert.deepEqual(sensors.after(0), NOTHING);
  assert.deepEqual(sensors.after(32 * MINUTE - 1), NOTHING);
  assert.deepEqual(sensors.after(1).back, [sensor]);
  sensors.silent.add(sensor);
  assert.deepEqual(sensors.after(1).fallen, [sensor], 'it is news again');
});

test('after a calm day it begins anew; who is not watched any more is forgotten', () => {
  const sensors = new Sensors();
  const [sensor, other] = [sensors.add(), sensors.add()];
  sensors.silent.add(sensor).add(other);
  assert.equal(sensors.after(0).fallen.length, 2);
  sensors.silent.clear();
  sensors.watched.delete(other);
  assert.deepEqual(sensors.after(1), NOTHING);
  assert.deepEqual(sensors.after(HOUR), { fallen: [], back: [sensor] });
  assert.deepEqual(sensors.after(25 * HOUR), NOTHING);
  assert.deepEqual(sensors.flaps.entries(), []);
});

test('what was said is known after a restart', () => {
  const sensors = new Sensors();
  const sensor = sensors.add();
  sensors.silent.add(sensor);
  sensors.after(0);
  sensors.flaps = new FlapSuppression(structuredClone(sensors.flaps.entries()));
  assert.deepEqual(sensors.after(1), NOTHING);
});
