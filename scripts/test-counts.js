import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';

/** @typedef {{ tests: number, skipped: number, todo: number }} Counts */
/** @typedef {{ type: string, data: { name?: string, file?: string, counts?: Counts } }} TestEvent */

/**
 * A reporter for `node --test` that prints nothing: it writes what test.js must know, as JSON, to $TEST_COUNTS_FILE.
 * `node --test` itself is content where no test ran, where all were skipped, and with a file that has none.
 * @param {AsyncIterable<TestEvent>} events
 */
// biome-ignore lint/correctness/useYield: node wants a generator, and nothing is printed
export default async function* testCounts(events) {
  /** @type {string[]} */
  const withoutTests = [];
  /** @type {Set<string>} */
  const failed = new Set();
  for await (const { type, data } of events) {
    if (type === 'test:fail' && data.file !== undefined) failed.add(data.file);
    if (type === 'test:pass' && data.name !== undefined && resolve(data.name) === data.file)
      withoutTests.push(data.name);
    if (type === 'test:summary' && data.file === undefined) {
      writeFileSync(
        String(process.env.TEST_COUNTS_FILE),
        JSON.stringify({ ...data.counts, withoutTests, failed: [...failed] }),
      );
    }
  }
}
