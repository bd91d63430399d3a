import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newSensorId } from '@d4ts/protocol';
import { SessionTable } from './session-table.ts';

const sensor = newSensorId();

function entry(newestTimestamp: number, lastFrameAt: number, topic = '3') {
  return { sensor, topic, session: { newestTimestamp, lastFrameAt }, openedAt: lastFrameAt };
}

test('sessions of other sensors and topics do not count', () => {
  const table = new SessionTable(1);
  assert.equal(table.add(entry(1, 1)), undefined);
  assert.equal(table.add(entry(1, 1, '8')), undefined);
  assert.equal(table.add({ ...entry(1, 1), sensor: newSensorId() }), undefined);
});

test('over the limit the oldest newest time closes, of equals the one idle longest, be it the newcomer', () => {
  const table = new SessionTable(2);
  const [first, second, third] = [entry(10, 5), entry(10, 3), entry(11, 1)];
  table.add(first);
  table.add(second);
  assert.equal(table.add(third), second.session);
  const replayed = entry(9, 100);
  assert.equal(table.add(replayed), replayed.session);
  table.remove(first);
  assert.equal(table.add(entry(1, 1)), undefined);
});

test('two sessions are suspicious while both have had frames since the later one began', () => {
  const table = new SessionTable(4);
  const older = entry(1, 1_000);
  const newer = entry(1, 5_000);
  table.add(older);
  table.add(newer);
  assert.deepEqual(table.suspectedClones(6_000), []);
  older.session.lastFrameAt = 6_000;
  assert.deepEqual(table.suspectedClones(6_000), [sensor]);
  assert.deepEqual(table.suspectedClones(66_001), []);
  newer.session.lastFrameAt = 66_000;
  older.session.lastFrameAt = 66_000;
  assert.deepEqual(table.suspectedClones(66_001), [sensor]);
  table.remove(older);
  assert.deepEqual(table.suspectedClones(66_001), []);
});
