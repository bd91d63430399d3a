import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { dependencyViolations, sourceFiles } from './dependency-rules.ts';

const ROOT = dirname(import.meta.dirname);

test('nothing in the repository breaks the rules of who may import whom', () => {
  assert.ok(sourceFiles(ROOT).length > 10, 'the sources were not found');
  assert.deepEqual(dependencyViolations(ROOT), []);
});

const SOUND = {
  'package.json': '{ "devDependencies": { "fast-check": "1.0.0" } }',
  'packages/protocol/package.json': '{ "name": "@d4ts/protocol" }',
  'packages/protocol/src/index.ts': "import { hash } from 'node:crypto';\nexport { hash };",
  'packages/protocol/src/index.test.ts': "import fc from 'fast-check';\nimport { hash } from './index.ts';",
  'packages/client/package.json':
    '{ "name": "@d4ts/client", "exports": { ".": "", "./acknowledged": "" }, "dependencies": { "@d4ts/protocol": "0.1.0" } }',
  'packages/client/src/index.ts': "export * from '@d4ts/protocol';",
  'packages/testkit/package.json': '{ "name": "@d4ts/testkit", "dependencies": { "@d4ts/protocol": "0.1.0" } }',
  'packages/testkit/src/index.ts': "import { after } from 'node:test';",
  'packages/server/package.json':
    '{ "name": "@d4ts/server", "dependencies": { "@d4ts/client": "0.1.0", "@d4ts/protocol": "0.1.0", "pino": "1.0.0" } }',
  'packages/server/src/index.ts': "export { journal } from './journal/port.ts';\nimport './api/api.ts';",
  'packages/server/src/config/load.ts': "import type { Journal } from '../journal/port.ts';",
  'packages/server/src/journal/port.ts': "import type { SensorId } from '@d4ts/protocol';",
  'packages/server/src/journal/contract.ts': "import { test } from 'node:test';\nimport './port.ts';",
  'packages/server/src/journal/port.test.ts':
    "import './contract.ts';\nimport { a } from '@d4ts/testkit';\nimport '../queues/queues.ts';",
  'packages/server/src/queues/queues.ts': "import type { Journal } from '../journal/port.ts';",
  'packages/server/src/export/d4.ts': "import { AckSession } from '@d4ts/client/acknowledged';",
  'packages/server/src/ingest/port.ts': 'export {};',
  'packages/server/src/ingest/session.ts': "import '../journal/port.ts';",
  'packages/server/src/api/api.ts':
    "import '../ingest/port.ts';\nimport '../queues/queues.ts';\nimport { pino } from 'pino';",
  'packages/cli/package.json':
    '{ "name": "@d4ts/cli", "dependencies": { "@d4ts/client": "0.1.0", "@d4ts/server": "0.1.0" } }',
  'packages/cli/src/index.ts': "import('@d4ts/server');\nimport '@d4ts/client';",
  'test/whole.test.ts':
    "import { run } from '@d4ts/cli';\nimport { pino } from 'pino';\nimport '../packages/server/src/index.ts';",
};

/** A planted violation: the file, its text, and a part of what must be said of it. */
const PLANTED: [title: string, file: string, text: string, said: RegExp][] = [
  [
    'a journal that reads queues',
    'packages/server/src/journal/a.ts',
    "import '../queues/queues.ts';",
    /a\.ts:1: journal may not import .* of queues$/,
  ],
  [
    'a type alone',
    'packages/server/src/registry/a.ts',
    "\nimport type { A } from '../journal/port.ts';",
    /a\.ts:2: registry may not import .* of journal$/,
  ],
  [
    'a type in an import()',
    'packages/server/src/formats/a.ts',
    "let a: import('../journal/port.ts').A;",
    /formats may not import .* of journal$/,
  ],
  [
    'a detour',
    'packages/server/src/journal/a.ts',
    "import '../journal/../queues/queues.ts';",
    /journal may not import .* of queues$/,
  ],
  [
    'one reader of the journal that knows another',
    'packages/server/src/export/a.ts',
    "import '../queues/queues.ts';",
    /export may not import .* of queues$/,
  ],
  [
    "ingest's insides",
    'packages/server/src/api/a.ts',
    "import '../ingest/session.ts';",
    /api may not import .* of ingest$/,
  ],
  ['the composition root', 'packages/server/src/api/a.ts', "import '../config/load.ts';", /puts the parts together/],
  [
    'the way out of a package',
    'packages/client/src/a.ts',
    "import '../../protocol/src/index.ts';",
    /leaves the package/,
  ],
  [
    'the way out of a package, in a test',
    'packages/client/src/a.test.ts',
    "import '../../protocol/src/index.ts';",
    /leaves the package/,
  ],
  ["a package's insides", 'packages/client/src/a.ts', "import '@d4ts/protocol/src/index.ts';", /reaches into/],
  [
    'the wrong direction',
    'packages/protocol/src/a.ts',
    "import '@d4ts/client';",
    /protocol may not import @d4ts\/client/,
  ],
  ['client and server', 'packages/server/src/a.ts', "import '@d4ts/client';", /server may not import @d4ts\/client/],
  [
    'forwarding in another part than that which exports',
    'packages/server/src/ingest/a.ts',
    "import '@d4ts/client/acknowledged';",
    /server may not import @d4ts\/client/,
  ],
  [
    'more of the client than forwarding needs',
    'packages/server/src/export/a.ts',
    "import '@d4ts/client';",
    /server may not import @d4ts\/client/,
  ],
  [
    'what is not declared',
    'packages/client/src/a.ts',
    "import { pino } from 'pino';",
    /'pino' is not among the dependencies/,
  ],
  [
    'what only the root declares',
    'packages/client/src/a.ts',
    "import fc from 'fast-check';",
    /'fast-check' is not among/,
  ],
  ['what nobody declares', 'test/a.test.ts', "import 'left-pad';", /'left-pad' is not among/],
  ['the test kit', 'packages/server/src/api/a.ts', "import '@d4ts/testkit';", /server may not import @d4ts\/testkit/],
  ['the test runner', 'packages/server/src/api/a.ts', "import { test } from 'node:test';", /for tests only/],
  ['a test', 'packages/server/src/journal/a.ts', "import './port.test.ts';", /for tests only/],
  ['a contract', 'packages/server/src/journal/a.ts', "export * from './contract.ts';", /for tests only/],
  ['a computed module', 'packages/client/src/a.ts', 'await import(name);', /cannot be checked/],
  ['a missing file', 'packages/client/src/a.ts', "import './b.ts';", /leads to no file/],
];

test('a sound tree has no violation', () => {
  assert.deepEqual(violationsOf(SOUND), []);
});

for (const [title, file, text, said] of PLANTED) {
  test(`sees ${title}`, () => {
    const violations = violationsOf({ ...SOUND, [file]: text });
    assert.equal(violations.length, 1, violations.join('\n'));
    assert.match(String(violations[0]), said);
  });
}

function violationsOf(tree: Record<string, string>): string[] {
  const root = mkdtempSync(join(tmpdir(), 'dependency-rules-'));
  try {
    for (const [file, text] of Object.entries(tree)) {
      mkdirSync(dirname(join(root, file)), { recursive: true });
      writeFileSync(join(root, file), text);
    }
    return dependencyViolations(root);
  } finally {
    rmSync(root, { recursive: true });
  }
}
