import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SensorActivity } from '../registry/port.ts';
import { countByState, RECEIVING_MS, type SensorFacts, sensorState } from './sensor-state.ts';

const NOW = 1_000_000;
const DAY_MS = 86_400_000;
const silent: SensorFacts = {
  registration: 'approved',
  blocked: false,
  suspectedClone: false,
  lastFrameAt: undefined,
  activity: undefined,
  maxBytesPerDay: undefined,
};

function activity(lastSeen: number, refusals: SensorActivity['refusals']): SensorActivity {
  return { firstSeen: 1, lastSeen, lastAddress: '192.0.2.1', today: { day: 0, bytes: 5 }, topics: {}, refusals };
}

test('each state, and its precedence over those that come later', () => {
  const everything: SensorFacts = {
    registration: 'revoked',
    blocked: true,
    suspectedClone: true,
    lastFrameAt: NOW,
    activity: activity(0, { 'hmac-wrong': { count: 1, lastAt: NOW, lastAddress: '192.0.2.1' } }),
    maxBytesPerDay: 5,
  };
  assert.equal(sensorState(everything, NOW).state, 'blocked');
  assert.equal(sensorState({ ...everything, blocked: false }, NOW).state, 'revoked');
  assert.equal(sensorState({ ...everything, blocked: false, registration: 'pending' }, NOW).state, 'pending');
  const approved: SensorFacts = { ...everything, blocked: false, registration: 'approved' };
  assert.equal(sensorState(approved, NOW).state, 'cloned');
  const single: SensorFacts = { ...approved, suspectedClone: false };
  assert.equal(sensorState(single, NOW).state, 'over-quota');
  assert.equal(sensorState({ ...single, maxBytesPerDay: 6 }, NOW).state, 'receiving');
  assert.equal(sensorState(single, NOW + DAY_MS).state, 'quiet', 'the day is over');
  assert.equal(sensorState({ ...single, maxBytesPerDay: undefined }, NOW + RECEIVING_MS + 1).state, 'quiet');
  assert.deepEqual(sensorState({ ...single, lastFrameAt: undefined }, NOW), {
    state: 'refused',
    refusedFor: 'hmac-wrong',
  });
  assert.deepEqual(sensorState(silent, NOW), { state: 'disconnected' });
});

test('only the latest refusal counts, and only if nothing good came after it', () => {
  const refusals: SensorActivity['refusals'] = {
    'size-over-limit': { count: 1, lastAt: 300, lastAddress: '192.0.2.1' },
    'type-not-accepted': { count: 9, lastAt: 200, lastAddress: '192.0.2.1' },
  };
  assert.equal(sensorState({ ...silent, activity: activity(250, refusals) }, NOW).refusedFor, 'size-over-limit');
  assert.equal(sensorState({ ...silent, activity: activity(301, refusals) }, NOW).state, 'disconnected');
});

test('every state is counted, also those of no sensor', () => {
  const counts = countByState(['pending', 'receiving', 'pending']);
  assert.equal(counts.pending, 2);
  assert.equal(counts.receiving, 1);
  assert.equal(counts.cloned, 0);
});
