import { test } from 'node:test';
import { outage } from './crash/outage.ts';

// The short form of `npm run chaos -- --outage SECONDS`.

test('an outage with more than the spools hold: what waits is whole, what drops the oldest says so to the byte', async (context) => {
  context.diagnostic(await outage({ seconds: 0, spoolLimit: '1MB' }));
});
