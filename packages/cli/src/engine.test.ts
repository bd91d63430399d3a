import assert from 'node:assert/strict';
import { constants, type NodeGCPerformanceDetail, PerformanceObserver } from 'node:perf_hooks';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { freeBuffersEarly, keepTicksFast } from './engine.ts';

const MIB = 1024 * 1024;

/** How often the heap is marked while so many buffers of 1 MiB come and go, the last eight of which are held. */
async function marksDuring(buffers: number): Promise<number> {
  let marks = 0;
  const observer = new PerformanceObserver((list) => {
    // The types of Node.js leave out what an entry of a collection says.
    for (const { detail } of list.getEntries() as unknown as { detail: NodeGCPerformanceDetail }[]) {
      if (detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR) marks += 1;
    }
  });
  observer.observe({ entryTypes: ['gc'] });
  const held: Buffer[] = [];
  for (let i = 0; i < buffers; i++) {
    held.push(Buffer.allocUnsafeSlow(MIB));
    if (held.length > 8) held.shift();
    await turn();
  }
  await turn();
  observer.disconnect();
  return marks;
}

test('buffers that pass through are freed without marking the whole heap', async () => {
  const before = await marksDuring(1_000);
  freeBuffersEarly();
  const after = await marksDuring(1_000);
  // Where it is not marked often before, this Node.js does not need the flag any more.
  assert.ok(after * 3 < before, `the heap was marked ${before} times before, ${after} times after`);
});

test('a tick is kept', async () => {
  assert.ok(
    await keepTicksFast(),
    'process.nextTick makes its objects in another way: see whether it still needs this',
  );
});
