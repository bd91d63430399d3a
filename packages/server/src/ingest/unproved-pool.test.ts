import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UnprovedPool } from './unproved-pool.ts';

const member = (group: string, pendingBytes = 0) => ({ group, pendingBytes });
const limits = { unprovedConnections: 4, unprovedPerAddress: 2, unprovedBytes: 100 };

test('over the bound of an address its longest idle connection goes, and no other', () => {
  const pool = new UnprovedPool(limits);
  const [other, first, second] = [member('b'), member('a'), member('a')];
  for (const each of [other, first, second]) assert.equal(pool.add(each), undefined);
  pool.touch(first);
  assert.equal(pool.add(member('a')), second);
  assert.equal(pool.size, 3);
});

test('over the global bound the longest idle of all goes', () => {
  const pool = new UnprovedPool(limits);
  const first = member('a');
  pool.add(first);
  for (const group of ['b', 'c', 'd']) assert.equal(pool.add(member(group)), undefined);
  assert.equal(pool.add(member('e')), first);
});

test('over the bound of bytes the longest idle one that holds some goes', () => {
  const pool = new UnprovedPool(limits);
  const [silent, slow, fast] = [member('a'), member('b'), member('c')];
  for (const each of [silent, slow, fast]) pool.add(each);
  slow.pendingBytes = 60;
  assert.equal(pool.touch(slow), undefined);
  fast.pendingBytes = 40;
  assert.equal(pool.touch(fast), undefined);
  fast.pendingBytes = 41;
  assert.equal(pool.touch(fast), slow);
  fast.pendingBytes = 100;
  assert.equal(pool.touch(fast), undefined);
});

test('those that have proved themselves are out of it', () => {
  const pool = new UnprovedPool(limits);
  const proved = member('a', 90);
  pool.add(proved);
  pool.remove(proved);
  proved.pendingBytes = 1_000;
  assert.equal(pool.touch(proved), undefined);
  assert.equal(pool.size, 0);
  const large = member('a', 100);
  pool.add(large);
  assert.equal(pool.touch(large), undefined);
});
