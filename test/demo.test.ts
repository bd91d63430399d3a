import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';

const ROOT = join(import.meta.dirname, '..');
const PATIENCE_MS = 60_000;

test('the demonstration shows sensors that send, and leaves nothing behind', async () => {
  const demo = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', join(ROOT, 'demo', 'main.ts')], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended = once(demo, 'close');
  const errors = text(demo.stderr);
  let printed = '';
  demo.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    printed += chunk;
  });
  let home: string;
  try {
    const [, url = '', mail, password] = await until(() =>
      /(https:\S+)\s+Sign in as (\S+) with the password (\S+)/.exec(printed),
    );
    const cookie = await signIn(url, { mail, password });
    const receiving = async () => {
      const { sensors } = JSON.parse((await get(`${url}/api/v1/overview`, cookie)).body);
      return sensors.byState.receiving >= 12 || undefined;
    };
    await until(receiving);
    home = JSON.parse((await get(`${url}/api/v1/status`, cookie)).body).home;
    assert.equal(JSON.parse(readFileSync(join(home, 'server.json'), 'utf8')).url, url);
  } finally {
    demo.kill('SIGINT');
  }
  assert.deepEqual(await ended, [0, null]);
  assert.equal(await errors, '');
  assert.equal(existsSync(home), false);
});

async function until<T>(look: () => T | null | undefined | Promise<T | null | undefined>): Promise<T> {
  for (const end = Date.now() + PATIENCE_MS; Date.now() < end; await setTimeout(100)) {
    const found = await look();
    if (found !== null && found !== undefined) return found;
  }
  throw new Error('the demonstration did not get that far');
}

async function signIn(url: string, body: object): Promise<string> {
  const { status, headers } = await get(`${url}/api/v1/session`, '', body);
  assert.equal(status, 200);
  return headers['set-cookie']?.[0]?.split(';')[0] ?? '';
}

async function get(url: string, cookie: string, json?: object) {
  const asked = request(url, {
    method: json === undefined ? 'GET' : 'POST',
    // It is this machine, and a certificate of a minute's age.
    rejectUnauthorized: false,
    agent: false,
    headers: { ...(cookie !== '' && { cookie }), ...(json && { 'content-type': 'application/json' }) },
  });
  asked.end(json && JSON.stringify(json));
  const [response] = await once(asked, 'response');
  return { status: response.statusCode, headers: response.headers, body: await text(response) };
}
