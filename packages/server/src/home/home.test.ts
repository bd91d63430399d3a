import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { openHome } from './home.ts';
import { readServerFile, removeServerFile, type ServerFile, tokenComparison, writeServerFile } from './server-file.ts';

describe('a home', () => {
  let folder: string;
  let root: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'd4-home-'));
    root = join(folder, 'a', 'home');
  });
  afterEach(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  it('is made for its owner only, with its format version', () => {
    openHome(root).release();
    assert.equal(statSync(root).mode & 0o777, 0o700);
    assert.equal(readFileSync(join(root, 'format'), 'utf8'), '1\n');
    openHome(root).release();
  });

  it('has one server at a time, and says which', () => {
    const home = openHome(root);
    const held = { code: 'D4_HOME_HELD', message: new RegExp(`pid ${process.pid}\\b`) };
    assert.throws(() => openHome(root), held);
    assert.throws(() => openHome(root), held);
    home.release();
    openHome(root).release();
  });

  it('is held against other processes, and free as soon as its holder is killed', async () => {
    const holder = await startHolder(root);
    assert.throws(() => openHome(root), { code: 'D4_HOME_HELD', message: new RegExp(`pid ${holder.pid}\\b`) });
    holder.kill('SIGKILL');
    await once(holder, 'exit');
    assert.equal(readFileSync(join(root, 'lock.pid'), 'utf8'), `${holder.pid}\n`);
    openHome(root).release();
  });

  it('is not blocked by what a dead server has left, even where its pid is in use again', () => {
    openHome(root).release();
    writeFileSync(join(root, 'lock.pid'), `${process.pid}\n`);
    writeFileSync(join(root, 'server.json'), '{}');
    writeFileSync(join(root, 'server.json.77.new'), '{"pi');
    openHome(root).release();
    assert.equal(existsSync(join(root, 'server.json')), false);
    assert.equal(existsSync(join(root, 'server.json.77.new')), false);
  });

  it('that cannot be made, or is no directory, is refused', () => {
    writeFileSync(join(folder, 'file'), '');
    for (const place of ['/proc/d4/home', join(folder, 'file'), join(folder, 'file', 'home')]) {
      assert.throws(() => openHome(place), { code: 'D4_HOME_FAILED', message: /choose another/ }, place);
    }
  });

  it('of a newer version is refused', () => {
    openHome(root).release();
    writeFileSync(join(root, 'format'), '2\n');
    assert.throws(() => openHome(root), { code: 'D4_HOME_FORMAT', message: /format 2.*newer version/ });
    writeFileSync(join(root, 'format'), 'x');
    assert.throws(() => openHome(root), { code: 'D4_HOME_FORMAT', message: /says "x"/ });
    writeFileSync(join(root, 'format'), '1');
    openHome(root).release();
  });

  it('must be a directory that can be made', () => {
    const file = join(folder, 'file');
    writeFileSync(file, '');
    assert.throws(() => openHome(file), { code: 'D4_HOME_FAILED', message: /not a directory/ });
    assert.throws(() => openHome(join(file, 'home')), { code: 'D4_HOME_FAILED', message: /cannot be used/ });
  });

  it("keeps the running server's facts", () => {
    const home = openHome(root);
    const facts: ServerFile = {
      pid: process.pid,
      version: '0.1.0',
      home: root,
      startedAt: 5,
      listen: '[::]:4443',
      web: '127.0.0.1:7000',
      redis: '127.0.0.1:6380',
      url: 'https://127.0.0.1:7000',
      ca: 'PEM',
      certificateSha256: 'ab'.repeat(32),
      token: 'x'.repeat(41),
    };
    assert.equal(readServerFile(root), undefined);
    writeServerFile(root, facts);
    assert.deepEqual(readServerFile(root), facts);
    assert.equal(statSync(home.paths.serverJson).mode & 0o777, 0o600);
    writeFileSync(home.paths.serverJson, '{"pid":1}');
    assert.throws(() => readServerFile(root), { code: 'D4_SERVER_FILE' });
    writeFileSync(home.paths.serverJson, '{');
    assert.throws(() => readServerFile(root), { code: 'D4_SERVER_FILE' });
    removeServerFile(root);
    assert.equal(readServerFile(root), undefined);
    home.release();
  });
});

describe('the local token', () => {
  it('is only equal to itself', () => {
    const isIt = tokenComparison('abc');
    assert.equal(isIt('abc'), true);
    assert.equal(isIt('abd'), false);
    assert.equal(isIt(''), false);
  });
});

/** A process that holds a home until it is killed. */
async function startHolder(root: string): Promise<ChildProcess> {
  const code = `
    import { openHome } from ${JSON.stringify(import.meta.resolve('./home.ts'))};
    openHome(${JSON.stringify(root)});
    process.stdout.write('held');
    setInterval(() => {}, 60_000);
  `;
  const holder = spawn(process.execPath, ['--input-type=module', '--eval', code], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(holder.stdout, 'data');
  return holder;
}
