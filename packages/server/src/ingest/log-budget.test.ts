import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LogBudget } from './log-budget.ts';

test('the first lines of a key are written, the others counted', () => {
  const budget = new LogBudget();
  const written = Array.from({ length: 1_000 }, () => budget.take('192.0.2.1 hmac-wrong', 0)).filter((taken) => taken);
  assert.equal(written.length, 50);
  assert.equal(budget.take('192.0.2.1 not-registered', 0), true);
  assert.deepEqual(budget.takeHeldBack(), { lines: 950, most: { '192.0.2.1 hmac-wrong': 950 } });
  assert.equal(budget.takeHeldBack(), undefined);
  assert.equal(budget.take('192.0.2.1 hmac-wrong', 30_000), true);
});

test('many keys together are bounded too', () => {
  const budget = new LogBudget();
  let written = 0;
  for (let i = 0; i < 100_000; i++) if (budget.take(`address ${i}`, 0)) written += 1;
  assert.equal(written, 2_000);
  const { lines, most } = budget.takeHeldBack() ?? assert.fail();
  assert.equal(lines, 98_000);
  assert.equal(Object.keys(most).length, 10);
});
