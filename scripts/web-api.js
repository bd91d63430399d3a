/**
 * Writes packages/web/src/api/schema.d.ts, the types of the HTTP interface for the pages, from the description that the
 * server makes of itself. With `--check` it writes nothing and fails where the file is not what it would write.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startApiFixture } from '../packages/server/src/api/api-fixture.ts';

const web = join(dirname(dirname(fileURLToPath(import.meta.url))), 'packages', 'web');
const file = join(web, 'src', 'api', 'schema.d.ts');

/** Both steps take some seconds; a machine that is this slow is said to be so, rather than waited for, in ms. */
const LIMIT = 60_000;
const limit = setTimeout(() => {
  process.stderr.write(`web-api: the server's description was not there within ${LIMIT / 1_000} s\n`);
  process.exit(1);
}, LIMIT);

const types = typesOf(await description());
clearTimeout(limit);
if (!process.argv.includes('--check')) {
  writeFileSync(file, types);
} else if (readFileSync(file, 'utf8') !== types) {
  process.stderr.write('The types of the HTTP interface have changed: run npm run -w @d4ts/web api\n');
  process.exitCode = 1;
}

async function description() {
  const fixture = await startApiFixture();
  try {
    const { status, text } = await fixture.call('GET', '/api/v1/openapi.json');
    if (status !== 200) throw new Error(`the server does not describe itself: ${text}`);
    // Examples of whole bodies are for people; they would be most of the file.
    return JSON.stringify(JSON.parse(text, (key, value) => (key === 'example' ? undefined : value)));
  } finally {
    await fixture[Symbol.asyncDispose]();
  }
}

/**
 * @param {string} openApi a description, JSON
 * @returns {string} a module of types
 */
function typesOf(openApi) {
  const cli = join(
    dirname(createRequire(join(web, 'package.json')).resolve('openapi-typescript/package.json')),
    'bin',
    'cli.js',
  );
  const scratch = mkdtempSync(join(tmpdir(), 'd4-web-api-'));
  try {
    const input = join(scratch, 'openapi.json');
    writeFileSync(input, openApi);
    const args = [cli, input, '--alphabetize', '--output', join(scratch, 'schema.d.ts')];
    const options = /** @type {const} */ ({ cwd: scratch, encoding: 'utf8', timeout: LIMIT });
    const { status, stderr, error } = spawnSync(process.execPath, args, options);
    if (error) throw new Error(`openapi-typescript did not end within ${LIMIT / 1_000} s: ${error.message}`);
    if (status !== 0) throw new Error(`openapi-typescript failed: ${stderr}`);
    return readFileSync(join(scratch, 'schema.d.ts'), 'utf8');
  } finally {
    rmSync(scratch, { recursive: true });
  }
}
