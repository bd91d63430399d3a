import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdtempSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { Redis } from 'ioredis';
import { pino } from 'pino';
import { AttemptThrottle } from '../../api/attempt-throttle.ts';
import { type MemoryQueue, MemoryQueues } from './memory-queues-fixture.ts';
import { formatQueueKey } from './queue-key.ts';
import { RawClient } from './raw-client-fixture.ts';
import { type RedisSocket, startRedisSocket } from './socket.ts';

const log = pino({ level: 'silent' });
const listen = { host: '127.0.0.1', port: 0 };
const PASSWORD = 'the pässword';
const WRONG = '-WRONGPASS invalid username-password pair or user is disabled.';

describe('who may use the Redis socket', () => {
  let queues: MemoryQueues;
  let queue: MemoryQueue;
  let other: MemoryQueue;
  let key: string;
  let socket: RedisSocket;
  let client: RawClient;

  beforeEach(() => {
    queues = new MemoryQueues();
    queue = queues.make('3');
    other = queues.make('8');
    queue.add('a', 'b', 'c');
    other.add('x');
    key = formatQueueKey(queue);
  });

  afterEach(async () => {
    await client.close();
    await socket.close();
  });

  async function start(password?: string): Promise<void> {
    socket = await startRedisSocket({ listen, queues, log, password, attempts: new AttemptThrottle() });
    client = await connect();
  }

  const connect = (): Promise<RawClient> => RawClient.connect(socket.address);
  const credential = async (push = false): Promise<string> =>
    (await queues.issueCredential(queue.uuid, { push })) ?? '';

  it('asks for the password before everything else', async () => {
    await start(PASSWORD);
    for (const words of [['PING'], ['RPOP', key], ['SELECT', '2'], ['MULTI'], ['CLIENT', 'LIST'], ['INFO']]) {
      assert.equal(await client.ask(...words), '-NOAUTH Authentication required.', words.join(' '));
    }
    assert.match(await client.ask('HELLO', '3'), /^-NOAUTH HELLO must be called/);
    assert.equal(await client.ask('AUTH', 'wrong'), WRONG);
    assert.equal(await client.ask('AUTH', 'default', 'wrong'), WRONG);
    assert.equal(await client.ask('AUTH', 'admin', PASSWORD), WRONG);
    assert.equal(await client.ask('HELLO', '2', 'AUTH', 'default', 'wrong'), WRONG);
    assert.equal(await client.ask('RPOP', key), '-NOAUTH Authentication required.');
    assert.equal(await client.ask('AUTH', Buffer.from(PASSWORD)), '+OK');
    client.send(['RPOP', key], ['LPUSH', key, 'd'], ['RESET'], ['RPOP', key]);
    await client.expect('$1\r\na\r\n:3\r\n+RESET\r\n-NOAUTH Authentication required.\r\n');
    assert.equal(await client.ask('HELLO', '2', 'AUTH', 'default', Buffer.from(PASSWORD)), '*14');
  });

  for (const password of [undefined, PASSWORD]) {
    it(`opens one queue alone by its credential, ${password ? 'with' : 'without'} a password`, async () => {
      await start(password);
      const secret = await credential();
      assert.equal(await client.ask('AUTH', other.uuid, secret), WRONG);
      assert.equal(await client.ask('AUTH', secret), '+OK');
      client.send(['RPOP', key], ['LLEN', key], ['LRANGE', key, '0', '0']);
      await client.expect('$1\r\na\r\n:2\r\n*1\r\n$1\r\nc\r\n');
      for (const words of [
        ['RPOP', formatQueueKey(other)],
        ['BRPOP', key, formatQueueKey(other), '0'],
        ['DEL', key, formatQueueKey(other)],
        ['LLEN', 'analyzer:3:5f2b3c1e-8d44-4c36-9a1f-0c1d2e3f4a5b'],
        ['EXISTS', 'x'],
      ]) {
        const answer = await client.ask(...words);
        assert.equal(answer, `-NOPERM this credential opens queue ${queue.uuid} alone`, words.join(' '));
      }
      for (const command of ['LPUSH', 'RPUSH']) {
        assert.match(await client.ask(command, key, 'x'), /^-NOPERM this credential may take items but not push/);
      }
      client.send(['KEYS', '*'], ['DBSIZE'], ['INFO', 'keyspace']);
      await client.expect(
        `*1\r\n$${key.length}\r\n${key}\r\n:1\r\n$44\r\n# Keyspace\r\ndb2:keys=1,expires=0,avg_ttl=0\r\n\r\n`,
      );
      const stranger = await connect();
      if (password !== undefined) await stranger.ask('AUTH', Buffer.from(password));
      const id = (await stranger.ask('CLIENT', 'ID')).slice(1);
      assert.equal(await client.ask('CLIENT', 'UNBLOCK', id), ':0');
      client.send(['CLIENT', 'LIST']);
      await client.line();
      assert.doesNotMatch(await client.line(), new RegExp(`id=${id} `));
      await stranger.close();
    });
  }

  it('lets a credential push where that was granted', async () => {
    await start(PASSWORD);
    assert.equal(await client.ask('AUTH', queue.uuid.replaceAll('-', ''), await credential(true)), '+OK');
    client.send(['LPUSH', key, 'd'], ['RPUSH', key, '0'], ['RPOP', key, '9']);
    await client.expect(':4\r\n:5\r\n*5\r\n$1\r\n0\r\n$1\r\na\r\n$1\r\nb\r\n$1\r\nc\r\n$1\r\nd\r\n');
  });

  it('closes the connections of a credential that was replaced or revoked, those that wait too', async () => {
    await start();
    queue.flush();
    for (const end of [
      () => credential(),
      () => queues.revokeCredential(queue.uuid),
      () => queues.remove(queue.uuid),
    ]) {
      const secret = await credential();
      const holder = await connect();
      assert.equal(await holder.ask('AUTH', secret), '+OK');
      holder.send(['PING'], ['BRPOP', key, '0']);
      await holder.expect('+PONG\r\n');
      await end();
      assert.equal(await holder.ended, '');
      assert.match(await client.ask('AUTH', secret), /^-ERR AUTH <password> called without/);
    }
    await client.sync();
  });

  it('holds back an address that tries secret after secret', async () => {
    await start(PASSWORD);
    let tries = 0;
    while ((await client.ask('AUTH', 'guess')) === WRONG) tries++;
    assert.equal(tries, 30);
    assert.match(
      await client.ask('AUTH', Buffer.from(PASSWORD)),
      /^-ERR too many failed attempts .* try again in \d s$/,
    );
  });

  it('serves ioredis with a password and with a credential', async () => {
    await start(PASSWORD);
    const options = { host: '127.0.0.1', port: socket.address.port, db: 2 };
    const admin = new Redis({ ...options, password: PASSWORD });
    assert.equal(await admin.rpop(key), 'a');
    admin.disconnect();
    const holder = new Redis({ ...options, username: queue.uuid, password: await credential() });
    assert.equal(await holder.rpop(key), 'b');
    await assert.rejects(holder.rpop(formatQueueKey(other)), /NOPERM/);
    holder.disconnect();
    for (const protocol of [2, 3] as const) {
      queue.add('x');
      const bySecret = new Redis({ ...options, protocol, password: await credential() });
      assert.ok(await bySecret.rpop(key));
      await assert.rejects(bySecret.rpop(formatQueueKey(other)), /NOPERM/);
      bySecret.disconnect();
    }
  });
});

describe('transactions', () => {
  let queues: MemoryQueues;
  let queue: MemoryQueue;
  let key: string;
  let socket: RedisSocket;
  let client: RawClient;

  beforeEach(async () => {
    queues = new MemoryQueues();
    queue = queues.make('3');
    key = formatQueueKey(queue);
    socket = await startRedisSocket({ listen, queues, log });
    client = await RawClient.connect(socket.address);
  });

  afterEach(async () => {
    await client.close();
    await socket.close();
  });

  for (const mode of ['at once', 'later'] as const) {
    it(`answer their commands together, over queues that answer ${mode}`, async () => {
      queue.mode = mode;
      queue.add('a', 'b', 'c');
      client.send(['MULTI'], ['RPOP', key], ['BRPOP', key, '0'], ['LLEN', key], ['LPOP', key, 'x'], ['EXEC'], ['PING']);
      await client.expect('+OK\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n+QUEUED\r\n');
      await client.expect(`*4\r\n$1\r\na\r\n*2\r\n$${key.length}\r\n${key}\r\n$1\r\nb\r\n:1\r\n`);
      await client.expect('-ERR value is not an integer or out of range\r\n+PONG\r\n');
      client.send(['RPOP', key], ['MULTI'], ['BRPOP', key, '0'], ['RPOP', key], ['EXEC'], ['ECHO', 'x']);
      await client.expect('$1\r\nc\r\n+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n*-1\r\n$-1\r\n$1\r\nx\r\n');
    });
  }

  it('are discarded where a command was wrong, or by DISCARD', async () => {
    queue.add('a');
    client.send(['MULTI'], ['RPOP', key], ['NOSUCH'], ['EXEC'], ['LLEN', key]);
    await client.expect("+OK\r\n+QUEUED\r\n-ERR unknown command 'NOSUCH', with args beginning with: \r\n");
    await client.expect('-EXECABORT Transaction discarded because of previous errors.\r\n:1\r\n');
    client.send(['MULTI'], ['RPOP', key], ['DISCARD'], ['EXEC'], ['DISCARD'], ['MULTI'], ['MULTI'], ['RESET']);
    await client.expect('+OK\r\n+QUEUED\r\n+OK\r\n-ERR EXEC without MULTI\r\n-ERR DISCARD without MULTI\r\n');
    await client.expect('+OK\r\n-ERR MULTI calls can not be nested\r\n+RESET\r\n');
    assert.equal(await client.ask('LLEN', key), ':1');
  });

  it('are bounded', async () => {
    client.send(['MULTI'], ...Array.from({ length: 10_001 }, () => ['PING']), ['EXEC']);
    await client.expect(`+OK\r\n${'+QUEUED\r\n'.repeat(10_000)}-ERR a transaction may hold 10000 commands`);
    await client.line();
    assert.match(await client.line(), /^-EXECABORT/);
  });
});

describe('the socket file', () => {
  let folder: string;
  let path: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'd4-redis-'));
    path = join(folder, 'd4.sock');
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const start = (): Promise<RedisSocket> => startRedisSocket({ listen, queues: new MemoryQueues(), log, path });

  it('serves the owner and the group, and is gone at the end', async () => {
    const socket = await start();
    assert.equal(statSync(path).mode & 0o777, 0o660);
    const client = new Redis({ path, db: 2 });
    assert.equal(await client.ping(), 'PONG');
    client.disconnect();
    await socket.close();
    assert.ok(!existsSync(path));
  });

  it('takes the place of one that a dead server left, but not of anything else', async () => {
    const dead = createServer().listen(path);
    await once(dead, 'listening');
    await assert.rejects(start(), { code: 'D4_LISTEN', message: /another program listens there/ });
    const kept = join(folder, 'kept');
    renameSync(path, kept);
    await new Promise((resolve) => dead.close(resolve));
    renameSync(kept, path);
    const socket = await start();
    await socket.close();
    writeFileSync(path, 'a file');
    await assert.rejects(start(), { code: 'D4_LISTEN', message: /something that is no socket/ });
    path = join(folder, 'x'.repeat(120));
    await assert.rejects(start(), { code: 'D4_LISTEN', message: /too long/ });
  });
});
