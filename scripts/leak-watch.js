/**
 * Loaded into each test file's process: ends it, as failed, where something that its tests started keeps it running
 * after they are over (a server, a timer, a child). `node --test` itself would wait for ever.
 */
import { after } from 'node:test';

/** How long a process may take to end by itself, in ms. */
const PATIENCE = 10_000;

if (process.argv[1]?.endsWith('.test.ts')) {
  after(() => {
    const end = () => {
      const resources = process.getActiveResourcesInfo().filter((name) => name !== 'PipeWrap');
      process.stderr.write(
        `${process.argv[1]}: the tests are over, but something is left running: ${resources.join(', ')}\n`,
      );
      process.exit(1);
    };
    setTimeout(end, PATIENCE).unref();
  });
}
