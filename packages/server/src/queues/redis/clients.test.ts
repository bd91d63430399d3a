import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { Redis } from 'ioredis';
import { pino } from 'pino';
import { createClient, RESP_TYPES } from 'redis';
import { type MemoryQueue, MemoryQueues } from './memory-queues-fixture.ts';
import { formatQueueKey } from './queue-key.ts';
import { type RedisSocket, startRedisSocket } from './socket.ts';

const BINARY = Buffer.from([0x61, 0x0d, 0x00, 0xff, 0x62]);

let queues: MemoryQueues;
let queue: MemoryQueue;
let key: string;
let socket: RedisSocket;

beforeEach(async () => {
  queues = new MemoryQueues();
  queue = queues.make('maltrail');
  key = formatQueueKey(queue);
  const log = pino({ level: 'silent' });
  socket = await startRedisSocket({ listen: { host: '127.0.0.1', port: 0 }, queues, log });
});

afterEach(() => socket.close());

/** Runs a program to its end. @returns its standard output */
async function run(program: string, args: readonly string[], debianPackage: string, input = ''): Promise<Buffer> {
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  const output: Buffer[] = [];
  const errors: Buffer[] = [];
  child.stdout.on('data', (chunk) => output.push(chunk));
  child.stderr.on('data', (chunk) => errors.push(chunk));
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  const [code] = await once(child, 'close').catch((error) => {
    throw new Error(`${program} cannot be started: install Debian's package ${debianPackage}`, { cause: error });
  });
  const said = Buffer.concat(errors).toString();
  assert.ok(!said.includes('No module named'), `${program} lacks a module: install Debian's package ${debianPackage}`);
  assert.equal(code, 0, `${program} ended with ${code}: ${said}`);
  return Buffer.concat(output);
}

describe('node-redis', () => {
  for (const RESP of [2, 3] as const) {
    it(`pops in RESP${RESP}`, async () => {
      queue.add('a', 'b', 'c', BINARY);
      const client = createClient({ socket: { host: '127.0.0.1', port: socket.address.port }, database: 2, RESP });
      await client.connect();
      assert.equal(await client.lLen(key), 4);
      assert.deepEqual(await client.lRange(key, 1, 2), ['c', 'b']);
      assert.equal(await client.rPop(key), 'a');
      assert.deepEqual(await client.rPopCount(key, 2), ['b', 'c']);
      const buffers = client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
      assert.deepEqual(await buffers.brPop(key, 1), { key: Buffer.from(key), element: BINARY });
      assert.equal(await client.rPop(key), null);
      const blocked = client.duplicate();
      await blocked.connect();
      const popped = blocked.blPop(key, 0);
      assert.equal(await client.rPush(key, 'd'), 1);
      assert.deepEqual(await popped, { key, element: 'd' });
      blocked.destroy();
      await client.close();
    });
  }
});

describe('ioredis', () => {
  for (const protocol of [2, 3] as const) {
    it(`pops in RESP${protocol}`, async () => {
      queue.add('a', 'b', 'c', BINARY);
      const client = new Redis({ host: '127.0.0.1', port: socket.address.port, db: 2, protocol });
      assert.equal(await client.llen(key), 4);
      assert.equal(await client.lpop(key), 'a');
      assert.deepEqual(await client.rpop(key, 2), ['b', 'c']);
      assert.deepEqual(await client.brpopBuffer(key, 1), [Buffer.from(key), BINARY]);
      assert.equal(await client.brpop(key, 0.01), null);
      assert.deepEqual(await client.pipeline().ping().rpush(key, 'd').rpop(key).exec(), [
        [null, 'PONG'],
        [null, 1],
        [null, 'd'],
      ]);
      await client.quit();
    });
  }
});

describe('redis-cli', () => {
  const cli = async (input: string, ...args: string[]): Promise<string> =>
    (await run('redis-cli', ['-p', String(socket.address.port), ...args], 'redis-tools', input)).toString();

  it('pops, by arguments and by lines', async () => {
    queue.add('a', 'b', 'c', 'd\re');
    assert.equal(await cli('', '-n', '2', 'RPOP', key), 'a\n');
    assert.equal(await cli('', '-3', 'LRANGE', key, '0', '-1'), 'd\re\nc\nb\n');
    assert.equal(await cli(`LLEN ${key}\nRPOP ${key} 2\nBRPOP ${key} 0\n`), `3\nb\nc\n${key}\nd\re\n`);
    assert.equal(await cli('', '--no-raw', 'BRPOP', key, '0.01'), '(nil)\n');
    assert.match(await cli('', 'INFO', 'server'), /redis_version:7/);
  });

  it('pushes what it reads from standard input', async () => {
    assert.equal(await cli('given back', '-x', 'RPUSH', key), '1\n');
    assert.deepEqual((await queue.peek(2)).map(String), ['given back']);
  });
});

describe('python3-redis', () => {
  const python = (script: string): Promise<Buffer> =>
    run('/usr/bin/python3', ['-c', script, String(socket.address.port), key], 'python3-redis');

  it('pops as the exporters and analyzers do', async () => {
    queue.add('a', 'b', 'c', 'd', 'e', BINARY);
    const output = await python(`
import redis, sys
r = redis.StrictRedis(host='127.0.0.1', port=int(sys.argv[1]), db=2)
key = sys.argv[2]
assert r.ping()
assert r.llen(key) == 6
assert r.rpop(key) == b'a'
assert r.lpop(key) == b'b'
assert r.rpop(key, 2) == [b'c', b'd']
assert r.brpop(key) == (key.encode(), b'e')
assert r.lrange(key, 0, -1) == [bytes([0x61, 0x0d, 0x00, 0xff, 0x62])]
sys.stdout.buffer.write(r.rpop(key))
assert r.rpop(key) is None
assert r.blpop(key, timeout=0.01) is None
assert r.rpush(key, 'f') == 1
assert r.exists(key) == 1 and r.type(key) == b'list' and r.keys('*') == [key.encode()]
assert r.delete(key) == 1
assert r.info()['redis_mode'] == 'standalone'
p = r.pipeline(transaction=False)
p.ping().llen(key).rpop(key)
assert p.execute() == [True, 0, None]
`);
    assert.ok(output.equals(BINARY));
  });
});
