import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { startApiFixture } from './api-fixture.ts';

const HTML = { accept: 'text/html,*/*;q=0.8' };

test('the pages are one document at every address, with a nonce of its own in each answer', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'd4-pages-'));
  try {
    mkdirSync(join(folder, 'assets'));
    writeFileSync(join(folder, 'index.html'), '<meta nonce="D4_NONCE"><script nonce="D4_NONCE" src="/assets/a-1.js">');
    writeFileSync(join(folder, 'assets', 'a-1.js'), 'go()');
    writeFileSync(join(folder, 'secret'), 'no');
    await using fixture = await startApiFixture(0, { pagesFolder: folder });
    const nonces = new Set<string>();
    for (const path of ['/', '/sensors/5f2b3c1e-8d44-4c36-9a1f-0c1d2e3f4a5b?tab=files']) {
      const { status, headers, text } = await fixture.call('GET', path, { token: null, headers: HTML });
      assert.equal(status, 200, path);
      assert.equal(headers['content-type'], 'text/html; charset=utf-8');
      assert.equal(headers['cache-control'], 'no-store');
      const [, nonce] = /style-src 'self' 'nonce-([^']+)'/.exec(String(headers['content-security-policy'])) ?? [];
      assert.ok(nonce);
      assert.match(String(headers['content-security-policy']), /script-src 'self';/);
      assert.equal(text, `<meta nonce="${nonce}"><script nonce="${nonce}" src="/assets/a-1.js">`);
      nonces.add(nonce);
    }
    assert.equal(nonces.size, 2);

    const asset = await fixture.call('GET', '/assets/a-1.js', { token: null });
    assert.equal(asset.text, 'go()');
    assert.equal(asset.headers['cache-control'], 'public, max-age=31536000, immutable');
    for (const path of [
      '/assets/a-2.js',
      '/assets/../secret',
      '/assets/%2e%2e/secret',
      '/api/v1/nothing',
      '/metrics/x',
    ]) {
      const { status, text } = await fixture.call('GET', path, { token: null, headers: HTML });
      assert.ok(status === 404 || status === 400, `${path}: ${status} ${text}`);
    }
    assert.equal((await fixture.call('GET', '/sensors', { token: null })).status, 404, 'not asked for as a page');
    assert.equal((await fixture.call('POST', '/sensors', { token: null, headers: HTML })).status, 404);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('a server whose pages have not been built says so', async () => {
  await using fixture = await startApiFixture();
  const { status, text } = await fixture.call('GET', '/', { token: null, headers: HTML });
  assert.equal(status, 200);
  assert.match(text, /its pages have not been built/);
  assert.equal((await fixture.call('GET', '/sensors', { token: null, headers: HTML })).status, 404);
});
