import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newSensorId, type SensorId } from '@d4ts/protocol';
import { RecordRoom } from './record-room.ts';

const KIB = 1024;
const LARGE = 64 * KIB + 1;

class Holder {
  readonly sensor: SensorId;
  readonly #room: RecordRoom<Holder>;
  readonly #most: number;
  held = 0;
  isRead = true;

  constructor(room: RecordRoom<Holder>, most: number, sensor: SensorId = newSensorId()) {
    this.#room = room;
    this.#most = most;
    this.sensor = sensor;
  }

  hold(bytes: number): boolean {
    this.held = bytes;
    this.updateHold();
    return this.isRead;
  }

  updateHold(): void {
    this.isRead = this.#room.admits(this, this.sensor, this.held, this.#most);
  }
}

test('large unfinished records have room for so many at a time; others wait, and small ones need none', () => {
  const room = new RecordRoom<Holder>(1_000 * KIB);
  const holders = Array.from({ length: 6 }, () => new Holder(room, 250 * KIB));
  assert.deepEqual(
    holders.map((each) => each.hold(64 * KIB)),
    [true, true, true, true, true, true],
  );
  assert.deepEqual(
    holders.map((each) => each.hold(LARGE)),
    [true, true, true, true, false, false],
  );
  assert.deepEqual(room.blocking, holders.slice(0, 4));
  holders[1]?.hold(0);
  assert.deepEqual(
    holders.map(({ isRead }) => isRead),
    [true, true, true, true, true, false],
  );
  room.leave(holders[0] ?? assert.fail());
  assert.ok(holders[5]?.isRead);
  assert.deepEqual(room.blocking, []);
});

test('a sensor has room for a quarter, and for one record in any case', () => {
  const room = new RecordRoom<Holder>(1_000 * KIB);
  const sensor = newSensorId();
  const own = Array.from({ length: 3 }, () => new Holder(room, 125 * KIB, sensor));
  assert.deepEqual(
    own.map((each) => each.hold(LARGE)),
    [true, true, false],
  );
  const giant = new Holder(room, 5_000 * KIB);
  assert.equal(giant.hold(LARGE), false, 'it waits for all the room');
  for (const each of own) each.hold(0);
  assert.ok(giant.isRead);
});
