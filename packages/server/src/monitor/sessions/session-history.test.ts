import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { newSensorId } from '@d4ts/protocol';
import { pino } from 'pino';
import type { SensorActivity } from '../../registry/port.ts';
import { type LiveSession, SessionHistory } from './session-history.ts';
import { KEPT_PER_SENSOR } from './session-store.ts';

const log = pino({ level: 'silent' });
const START = 1_790_000_000_000;
const sensor = newSensorId();
let folder: string;
let now: number;
let live: LiveSession[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'd4-sessions-'));
  now = START;
  live = [];
});
afterEach(() => rmSync(folder, { recursive: true }));

function open(): SessionHistory {
  const activity = { find: () => ({ lastAddress: '192.0.2.9' }) as SensorActivity };
  const history = new SessionHistory({ file: join(folder, 'sessions.sqlite'), activity, log, now: () => now });
  history.follow(() => live);
  return history;
}

function session(address: string, since: number, bytes: number, port = 1): LiveSession {
  return { sensor, topic: '3', address, port, since, frames: 1, bytes };
}

test('connections that follow each other from one address are one span, from another one another', () => {
  const history = open();
  live = [session('192.0.2.1', START, 10)];
  history.look();
  now += 10_000;
  live = [session('192.0.2.1', START, 30)];
  assert.deepEqual(history.of(sensor, 0, now + 1), [
    ...[
      { topic: '3', address: '192.0.2.1', since: START, until: now, live: true, connections: 1, frames: 1, bytes: 30 },
    ],
  ]);
  live = [];
  history.look();
  now += 20_000;
  live = [session('192.0.2.1', now, 5, 2)];
  history.look();
  now += 5_000;
  live = [session('192.0.2.2', now, 7, 3)];
  const spans = history.of(sensor, 0, now + 1);
  assert.deepEqual(
    spans.map(({ address, live, connections, bytes }) => [address, live, connections, bytes]),
    [
      ['192.0.2.2', true, 1, 7],
      ['192.0.2.1', false, 2, 35],
    ],
  );
  history.close();
  const again = open();
  live = [];
  assert.equal(again.of(sensor, 0, now + 1).length, 2);
  assert.deepEqual(again.of(sensor, 0, START - 1), []);
  again.forget(sensor);
  assert.deepEqual(again.of(sensor, 0, now + 1), []);
  again.close();
});

test('a connection that was over before anybody looked is in it, and not twice', () => {
  const history = open();
  history.opened(sensor, '3');
  now += 3_000;
  assert.deepEqual(history.of(sensor, 0, now), [
    ...[
      {
        topic: '3',
        address: '192.0.2.9',
        since: START,
        until: START,
        live: false,
        connections: 1,
        frames: 0,
        bytes: 0,
      },
    ],
  ]);
  live = [session('192.0.2.9', now, 1)];
  history.opened(sensor, '3');
  now += 1_000;
  assert.deepEqual(
    history.of(sensor, 0, now).map(({ connections }) => connections),
    [2],
  );
  history.close();
});

test('the newest are kept', () => {
  const history = open();
  for (let at = 0; at < KEPT_PER_SENSOR + 10; at += 1) {
    history.opened(sensor, '3');
    history.look();
    now += 600_000;
  }
  const spans = history.of(sensor, 0, now);
  assert.equal(spans.length, KEPT_PER_SENSOR);
  assert.equal(spans[0]?.since, now - 600_000);
  history.close();
});
