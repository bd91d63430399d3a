import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { Pacer } from './pacer.ts';

/** When events happen that are wanted all the time, where a wait takes `late(i)` ms longer than was asked for. */
function times(rate: number, count: number, late: (wait: number) => number): number[] {
  const pacer = new Pacer(rate, 0);
  const happened: number[] = [];
  let now = 0;
  for (let waits = 0; happened.length < count; ) {
    const wait = pacer.take(now);
    if (wait === 0) happened.push(now);
    else now += wait + late(waits++);
  }
  return happened;
}

describe('Pacer', () => {
  it('keeps the rate, and catches up with late timers', () => {
    const happened = times(20_000, 20_000, (wait) => (wait % 3) * 0.4);
    const last = happened.at(-1) ?? 0;
    assert.ok(last >= 990 && last < 1010, `the last at ${last} ms`);
  });

  it('waits as long as a low rate asks for', () => {
    assert.deepEqual(times(2, 4, () => 0).map(Math.round), [0, 500, 1000, 1500]);
  });

  it('never sends more than a small burst over the rate, whatever the timers do', () => {
    const rates = fc.integer({ min: 1, max: 100_000 });
    const delays = fc.array(fc.double({ min: 0, max: 50, noNaN: true }), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(rates, delays, fc.nat({ max: 400 }), (rate, late, start) => {
        const happened = times(rate, 500, (wait) => late[wait % late.length] ?? 0);
        const from = happened[start] ?? 0;
        for (const [i, at] of happened.slice(start).entries()) {
          assert.ok(i <= ((at - from) * rate) / 1000 + 129);
        }
      }),
    );
  });
});
