import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { formatFor } from './registry.ts';

const page = readFileSync(new URL('../../../../docs/formats.md', import.meta.url), 'utf8');

/** The files that the page shows, by the name in their first line. */
const files = new Map(
  [...page.matchAll(/^```ts\n\/\/ (\S+)\n(.*?)^```$/gms)].map(([, name = '', text = '']) => [name, text]),
);

/** Code of the page, so that it runs anywhere: what it imports is where it is here, or in the same folder. */
function runnable(text: string): string {
  return text.replace(/from '([^']+)'/g, (clause, specifier: string) => {
    const isShown = files.has(specifier.replace('./', ''));
    return isShown ? clause : `from '${import.meta.resolve(specifier)}'`;
  });
}

test('the page shows a format and its test', () => {
  assert.deepEqual([...files.keys()], ['length-prefixed.ts', 'length-prefixed.test.ts']);
});

test('the table names the files that the formats are kept in', () => {
  const rows = page.split('\n').filter((line) => line.startsWith('| `'));
  assert.ok(rows.length >= 10);
  for (const row of rows) {
    const [topics = '', , , limit = '', item = '', kept = ''] = row.split('|').slice(1);
    for (const [, topic = ''] of topics.matchAll(/`([^`]+)`/g)) {
      const { archive, items } = formatFor(topic);
      if (archive.kind === 'rotated') assert.match(kept, new RegExp(`\`\\.${archive.extension}\``), topic);
      else assert.match(limit, /left out/, topic);
      assert.equal(/path/.test(item), items === 'files', topic);
    }
  }
});

// The example's test is run as it stands: it registers its suite here.
const folder = mkdtempSync(join(tmpdir(), 'd4ts-formats-page-'));
try {
  for (const [name, text] of files) writeFileSync(join(folder, name), runnable(text));
  await import(pathToFileURL(join(folder, 'length-prefixed.test.ts')).href);
} finally {
  rmSync(folder, { recursive: true });
}
