import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { launchServer, runD4 } from '@d4ts/testkit';

const LOOPBACK = ['--listen', '127.0.0.1:0', '--web', '127.0.0.1:0', '--redis', '127.0.0.1:0'];

describe('d4 server', () => {
  let folder: string;
  let home: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'd4-start-'));
    home = join(folder, 'home');
  });
  afterEach(() => {
    rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  });

  it('starts on a fresh home, says where it is, and stops cleanly', async () => {
    await using server = await launchServer({ home });
    const file = join(home, 'server.json');
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.equal(statSync(home).mode & 0o777, 0o700);
    assert.equal(server.info.pid, server.pid);
    assert.equal(server.info.home, home);

    const password = join(home, 'DEFAULT_PASSWORD');
    assert.equal(statSync(password).mode & 0o777, 0o600);
    assert.match(readFileSync(password, 'utf8'), /^email=admin@admin\.test\npassword=\S+\nAPI_Key=[\w-]{41}\n$/);
    assert.ok(server.stdout().includes(password));
    assert.ok(server.stdout().includes(server.info.listen));

    for (const address of [server.info.listen, server.info.web]) {
      const { ca } = server.info;
      const socket = connectTls({ ...hostAndPort(address), ca });
      await once(socket, 'secureConnect');
      const seen = socket.getPeerCertificate().fingerprint256.replaceAll(':', '').toLowerCase();
      assert.equal(seen, server.info.certificateSha256);
      socket.destroy();
    }
    assert.equal(await redisPing(server.info.redis), '+PONG\r\n');

    assert.deepEqual(await server.stop(), { code: 0, signal: null });
    assert.equal(existsSync(file), false);
    for (const line of server.log().trim().split('\n')) assert.equal(typeof JSON.parse(line).msg, 'string');
  });

  it('keeps credentials and identity from start to start, and takes a new local token', async () => {
    await using first = await launchServer({ home });
    const password = readFileSync(join(home, 'DEFAULT_PASSWORD'), 'utf8');
    await first.stop();
    await using second = await launchServer({ home });
    assert.equal(readFileSync(join(home, 'DEFAULT_PASSWORD'), 'utf8'), password);
    assert.equal(second.info.certificateSha256, first.info.certificateSha256);
    assert.notEqual(second.info.token, first.info.token);
    assert.match(second.stdout(), /first password and API key are in .*DEFAULT_PASSWORD\n/);
  });

  it('refuses a home that a living server holds, and leaves that one alone', async () => {
    await using server = await launchServer({ home });
    const second = await runD4(['server', '--home', home, ...LOOPBACK]);
    assert.equal(second.code, 1);
    assert.match(second.stderr, new RegExp(`in use by another server \\(pid ${server.pid}\\).*D4_HOME_HELD`));
    assert.equal(JSON.parse(readFileSync(join(home, 'server.json'), 'utf8')).pid, server.pid);
    assert.equal(await redisPing(server.info.redis), '+PONG\r\n');
  });

  it('starts on the home of one that was killed', async () => {
    await using first = await launchServer({ home });
    assert.deepEqual(await first.kill9(), { code: null, signal: 'SIGKILL' });
    assert.equal(existsSync(join(home, 'server.json')), true);
    await using second = await launchServer({ home });
    assert.notEqual(second.pid, first.pid);
  });

  it('says which port is in use, and that a new home was made', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as AddressInfo;
    for (const [flag, title] of [
      ['--listen', 'sensors'],
      ['--web', 'the HTTP interface'],
      ['--redis', 'analyzers'],
    ] as const) {
      const result = await runD4(['server', '--home', home, ...LOOPBACK, flag, `127.0.0.1:${port}`]);
      assert.equal(result.code, 1);
      assert.match(
        result.stderr,
        new RegExp(`cannot listen for ${title}.* at 127\\.0\\.0\\.1:${port}: the port is in use`),
      );
      assert.match(result.stderr, new RegExp(`choose another address with ${flag} HOST:PORT`));
      // Of a home that was made, and is there from then on, it is said.
      assert.equal(result.stderr.includes(`The home ${home} was made before that`), flag === '--listen');
      assert.ok(existsSync(join(home, 'DEFAULT_PASSWORD')));
      assert.equal(existsSync(join(home, 'server.json')), false);
    }
    taken.close();
    await using server = await launchServer({ home });
    assert.equal((await server.stop()).code, 0);
  });

  it('does not start with a wrong configuration', async () => {
    for (const [args, environment, message] of [
      [['--listen', 'nowhere'], {}, /--listen: "nowhere" is not HOST:PORT/],
      [['--mode', 'open'], {}, /--mode is "open"; allowed: registration, shared-secret/],
      [['--colour', 'red'], {}, /unknown option '--colour'/],
      [['extra'], {}, /too many arguments/],
      [[], { D4_LISTEN: '4443' }, /D4_LISTEN: "4443" is not HOST:PORT/],
      [[], { D4_COLOUR: 'red' }, /D4_COLOUR is no setting/],
    ] as const) {
      const result = await runD4(['server', '--home', home, ...args], { environment });
      assert.deepEqual([result.code, result.stdout], [2, '']);
      assert.match(result.stderr, message);
    }
    assert.equal(existsSync(home), false);
  });

  it('takes flags before variables before d4.yaml, and shows which', async () => {
    await using server = await launchServer({ home });
    await server.stop();
    writeFileSync(join(home, 'd4.yaml'), 'mode: shared-secret\ndefault-key: not for the eyes\nweb: 127.0.0.1:1\n');
    const environment = { D4_HOME: home, D4_WEB: '127.0.0.1:2', D4_REDIS: '127.0.0.1:3' };
    const { code, stdout, stderr } = await runD4(['config', '--json', '--redis', '127.0.0.1:4'], { environment });
    assert.deepEqual([code, stderr], [0, '']);
    const config = JSON.parse(stdout);
    assert.equal(config.mode.value, 'shared-secret');
    assert.equal(config.mode.source, join(home, 'd4.yaml'));
    assert.deepEqual([config.web.value, config.web.source], ['127.0.0.1:2', 'D4_WEB']);
    assert.deepEqual([config.redis.value, config.redis.source], ['127.0.0.1:4', '--redis']);
    assert.deepEqual([config.listen.value, config.listen.source], ['[::]:4443', 'default']);
    assert.doesNotMatch(stdout, /not for the eyes/);
    const people = await runD4(['config'], { environment });
    assert.match(people.stdout, /^redis +127\.0\.0\.1:3 +D4_REDIS$/m);
    assert.doesNotMatch(people.stdout, /not for the eyes/);
  });

  it('is not changed by a second SIGTERM', async () => {
    await using server = await launchServer({ home });
    server.signal('SIGTERM');
    server.signal('SIGTERM');
    server.signal('SIGINT');
    assert.deepEqual(await server.ended, { code: 0, signal: null });
    assert.equal(existsSync(join(home, 'server.json')), false);
  });

  it('stops although clients stay connected to all its sockets', async () => {
    await using server = await launchServer({ home });
    const { ca, listen, web, redis } = server.info;
    const sockets = [connectTls({ ...hostAndPort(listen), ca }), connectTls({ ...hostAndPort(web), ca })];
    await Promise.all(sockets.map((socket) => once(socket, 'secureConnect')));
    const plain = connect(hostAndPort(redis));
    await once(plain, 'connect');
    for (const socket of [...sockets, plain]) socket.on('error', () => {});
    assert.deepEqual(await server.stop(), { code: 0, signal: null });
    for (const socket of [...sockets, plain]) socket.destroy();
  });
});

function hostAndPort(address: string): { host: string; port: number } {
  const [host = '', port] = address.split(':');
  return { host, port: Number(port) };
}

async function redisPing(address: string): Promise<string> {
  const socket = connect(hostAndPort(address));
  socket.write('PING\r\n');
  const [answer] = await once(socket, 'data');
  socket.destroy();
  return String(answer);
}
