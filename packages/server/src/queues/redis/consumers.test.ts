import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { newSensorId } from '@d4ts/protocol';
import { Redis } from 'ioredis';
import { pino } from 'pino';
import { createClient } from 'redis';
import type { Queue } from '../port.ts';
import { ACTOR, QueueHome } from '../queue-home-fixture.ts';
import { formatQueueKey } from './queue-key.ts';
import { RawClient } from './raw-client-fixture.ts';
import { type RedisSocket, startRedisSocket } from './socket.ts';

// Each row of the table in docs/drop-in.md, by the calls that the consumer makes of its client library.

const sensor = newSensorId();
const LINES = [
  '1548624738.28||192.0.2.1||198.51.100.8||IN||www.example.org.||A||203.0.113.7||299||12',
  'zwei',
  'three',
];
const PATHS = ['/archive/a-1.cap.gz', '/archive/a-2.cap.gz', '/archive/a-3.cap.gz'];

let home: QueueHome;
let socket: RedisSocket;

beforeEach(async () => {
  home = await QueueHome.make();
  for (const name of ['8', 'ja3-jl']) await home.registry.types.put(name, { name, createdAt: 0 }, ACTOR);
  const listen = { host: '127.0.0.1', port: 0 };
  socket = await startRedisSocket({ listen, queues: home.queues, log: pino({ level: 'silent' }) });
});

afterEach(async () => {
  await socket.close();
  await home[Symbol.asyncDispose]();
});

async function lineQueue(topic: string): Promise<{ queue: Queue; key: string }> {
  const queue = await home.queues.add({ topic }, ACTOR);
  await home.append(sensor, LINES, topic);
  return { queue, key: formatQueueKey(queue) };
}

async function pathQueue(topic: string): Promise<{ queue: Queue; key: string }> {
  const queue = await home.queues.add({ topic }, ACTOR);
  for (const path of PATHS) await home.announce(topic, sensor, path);
  return { queue, key: formatQueueKey(queue) };
}

/** Runs a script with Debian's python3-redis; `key` is the queue's, `connect()` gives what the options say. */
async function python(key: string, script: string): Promise<string> {
  const front = `
import redis, sys, json
key = sys.argv[2]
def connect(kind=redis.StrictRedis, **options):
    return kind(host='127.0.0.1', port=int(sys.argv[1]), db=2, **options)
`;
  const args = ['-c', `${front}${script}`, String(socket.address.port), key];
  const child = spawn('/usr/bin/python3', args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  let complaint = '';
  child.stdout.setEncoding('utf8').on('data', (text) => (said += text));
  child.stderr.setEncoding('utf8').on('data', (text) => (complaint += text));
  const [code] = await once(child, 'close').catch((error) => {
    throw new Error("python3 cannot be started: install Debian's package python3-redis", { cause: error });
  });
  assert.equal(code, 0, complaint);
  return said;
}

describe('existing consumers', () => {
  it('stdout, udp, tcp, tls, unix and syslog exporters: ping, then RPOP until nothing comes', async () => {
    const { queue, key } = await lineQueue('3');
    const output = await python(
      key,
      `
r = connect()
r.ping()
while True:
    data = r.rpop(key)
    if data is None:
        break
    sys.stdout.buffer.write(data + b'\\n')
`,
    );
    assert.equal(output, `${LINES.join('\n')}\n`);
    assert.equal(queue.length, 0);
  });

  it('passivedns: RPOP of lines, decoded', async () => {
    const { key } = await lineQueue('8');
    const output = await python(key, 'print(connect(redis.Redis).rpop(key).decode("utf-8").split("||")[4])\n');
    assert.equal(output, 'www.example.org.\n');
  });

  it('balboa, and the Go client as a forwarder: SELECT and LPOP by redigo', async () => {
    const { key } = await lineQueue('8');
    const redigo = await RawClient.connect(socket.address);
    redigo.send(['SELECT', '2']);
    await redigo.expect('+OK\r\n');
    for (const line of LINES) {
      redigo.send(['LPOP', key]);
      await redigo.expect(`$${line.length}\r\n${line}\r\n`);
    }
    redigo.send(['LPOP', key]);
    await redigo.expect('$-1\r\n');
    await redigo.close();
  });

  it('pibs, ipa and pcap-filter: RPOP of the paths of captures', async () => {
    const { key } = await pathQueue('1');
    const output = await python(key, 'r = connect()\nfor _ in range(3): print(r.rpop(key).decode())\n');
    assert.equal(output, PATHS.map((path) => `${path}\n`).join(''));
    const hiredis = await RawClient.connect(socket.address);
    hiredis.send(['SELECT', '2'], ['RPOP', key]);
    await hiredis.expect('+OK\r\n$-1\r\n');
    await hiredis.close();
  });

  it('isn: BRPOP of paths, and a helper that looks at them and pushes one again', async () => {
    const { queue, key } = await pathQueue('1');
    const output = await python(
      key,
      `
r = connect()
name, first = r.brpop(key)
assert name.decode() == key
helper = connect()
waiting = helper.lrange(key, 0, -1)
assert helper.lpush(key, first) == 3
assert helper.llen(key) == 3
rest = [r.brpop(key, timeout=1)[1].decode() for _ in range(3)]
assert r.brpop(key, timeout=1) is None
print(json.dumps([first.decode(), [each.decode() for each in waiting], rest]))
`,
    );
    const [a, b, c] = PATHS;
    assert.deepEqual(JSON.parse(output), [a, [c, b], [b, c, a]]);
    assert.equal(queue.length, 0);
  });

  it('passivessl and pretensor: LPOP of the paths of JSON files, by a meta type’s name', async () => {
    const { key } = await pathQueue('ja3-jl');
    assert.match(key, /^analyzer:ja3-jl:/);
    assert.equal(await python(key, 'print(connect(redis.Redis, decode_responses=True).lpop(key))\n'), `${PATHS[0]}\n`);
  });

  it('log, through NiFi: LPOP over a pool of connections', async () => {
    const { key } = await lineQueue('3');
    const client = createClient({ socket: { host: '127.0.0.1', port: socket.address.port }, database: 2 });
    await client.connect();
    assert.deepEqual(await Promise.all(LINES.map(() => client.lPop(key))), LINES);
    await client.close();
  });
});

describe('pipelines, as client libraries send them', () => {
  it('redis-py: with and without MULTI and EXEC', async () => {
    const { queue, key } = await lineQueue('3');
    const output = await python(
      key,
      `
r = connect()
result = []
for transaction in (True, False):
    p = r.pipeline(transaction=transaction)
    p.llen(key).rpop(key).ping()
    result += p.execute()
p = r.pipeline()
p.lpush(key, 'x').rpop(key, 9)
result += p.execute()
print(json.dumps([each.decode() if isinstance(each, bytes) else [i.decode() for i in each] if isinstance(each, list) else each for each in result]))
`,
    );
    const [one, two, three] = LINES;
    assert.deepEqual(JSON.parse(output), [3, one, true, 2, two, true, 2, [three, 'x']]);
    assert.equal(queue.length, 0);
  });

  it('ioredis and node-redis: multi()', async () => {
    const { key } = await lineQueue('3');
    const io = new Redis({ host: '127.0.0.1', port: socket.address.port, db: 2 });
    assert.deepEqual(await io.multi().rpop(key).llen(key).exec(), [
      [null, LINES[0]],
      [null, 2],
    ]);
    io.disconnect();
    const client = createClient({ socket: { host: '127.0.0.1', port: socket.address.port }, database: 2 });
    await client.connect();
    assert.deepEqual(await client.multi().rPop(key).lLen(key).exec(), [LINES[1], 1]);
    await client.close();
  });
});
