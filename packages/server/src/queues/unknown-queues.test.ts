import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pino } from 'pino';
import { formatFor } from '../formats/registry.ts';
import { QueueHome } from './queue-home-fixture.ts';
import { openQueues } from './queues.ts';

test('consumers of unknown queues fill neither memory nor the log', async () => {
  await using home = await QueueHome.make();
  let lines = 0;
  const log = pino({ level: 'warn' }, { write: () => void lines++ });
  const { registry, journal } = home;
  const queues = await openQueues({ registry, journal, formats: formatFor, log });
  for (let i = 0; i < 3_000; i++) queues.unknown(`analyzer:3:${i}`, '127.0.0.1');
  queues.unknown('analyzer:3:2999', '127.0.0.1');
  const known = queues.unknownConsumers();
  assert.equal(known.length, 1_000);
  assert.deepEqual([known[0]?.key, known[0]?.count], ['analyzer:3:2999', 2]);
  assert.equal(lines, 1_000);
  await queues.close();
});
