import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { pino } from 'pino';
import { type MemoryQueue, MemoryQueues, type PopMode } from './memory-queues-fixture.ts';
import { formatQueueKey } from './queue-key.ts';
import { RawClient } from './raw-client-fixture.ts';
import { type RedisSocket, startRedisSocket } from './socket.ts';

const log = pino({ level: 'silent' });
const listen = { host: '127.0.0.1', port: 0 };
const UNKNOWN = 'analyzer:3:7b0a7a34-55a5-4c37-8d07-0b8e9d1c2f3a';

for (const mode of ['at once', 'later'] satisfies PopMode[]) {
  describe(`the Redis socket over queues that answer ${mode}`, () => {
    let queues: MemoryQueues;
    let queue: MemoryQueue;
    let key: string;
    let socket: RedisSocket;
    let client: RawClient;
    let closed: boolean;

    const another = (): Promise<RawClient> => RawClient.connect(socket.address);
    const left = async (): Promise<string[]> => (await queue.peek(1000)).map(String);

    beforeEach(async () => {
      queues = new MemoryQueues();
      queues.mode = mode;
      queue = queues.make('3');
      key = formatQueueKey(queue);
      socket = await startRedisSocket({ listen, queues, log, maxClients: 60 });
      client = await another();
      closed = false;
    });

    afterEach(async () => {
      await client.close();
      if (!closed) await socket.close();
    });

    it('pops the oldest from both ends, one or several at a time', async () => {
      queue.add('a', 'b', 'c', 'd', 'e');
      client.send(
        ['RPOP', key],
        ['LPOP', key],
        ['RPOP', key, '2'],
        ['LPOP', key, '9'],
        ['RPOP', key],
        ['RPOP', key, '1'],
      );
      await client.expect('$1\r\na\r\n$1\r\nb\r\n*2\r\n$1\r\nc\r\n$1\r\nd\r\n*1\r\n$1\r\ne\r\n$-1\r\n*-1\r\n');
    });

    it('gives runs of items to who wants them so', async () => {
      queue.add('a', 'bc', 'two\nlines', 'd', 'e');
      client.send(['D4.LINES', key, '4'], ['D4.LINES', key, '9'], ['D4.LINES', key, '9'], ['D4.LINES', UNKNOWN, '1']);
      const first = '*6\r\n:2\r\n$5\r\na\nbc\n\r\n:1\r\n$10\r\ntwo\nlines\n\r\n:1\r\n$2\r\nd\n\r\n';
      await client.expect(`${first}*2\r\n:1\r\n$2\r\ne\n\r\n*0\r\n*0\r\n`);
      client.send(['D4.LINES', key, '0']);
      await client.expect('-ERR value is out of range, must be positive\r\n');
    });

    it('gives as many as asked for whenever they are there', async () => {
      const items = Array.from({ length: 3000 }, (_, i) => String(i));
      queue.add(...items);
      client.send(['RPOP', key, '100'], ['RPOP', key, '2900']);
      const bulks = (some: string[]) => `*${some.length}\r\n${some.map((i) => `$${i.length}\r\n${i}\r\n`).join('')}`;
      await client.expect(bulks(items.slice(0, 100)) + bulks(items.slice(100)));
    });

    it('keeps any byte of an item, and gives items back in front', async () => {
      const binary = Buffer.from([0, 13, 10, 255, 13, 0]);
      queue.add('z');
      client.send(['RPUSH', key, 'y', binary], ['RPOP', key, '3']);
      await client.expect(`:3\r\n*3\r\n$6\r\n${binary.toString('latin1')}\r\n$1\r\ny\r\n$1\r\nz\r\n`);
    });

    it('shows items by index from the newest without taking them', async () => {
      queue.add('a', 'b', 'c');
      client.send(
        ['LRANGE', key, '0', '1'],
        ['LINDEX', key, '0'],
        ['LINDEX', key, '-1'],
        ['LINDEX', key, '7'],
        ['LLEN', key],
      );
      await client.expect('*2\r\n$1\r\nc\r\n$1\r\nb\r\n$1\r\nc\r\n$1\r\na\r\n$-1\r\n:3\r\n');
    });

    it('answers in order while some answers take longer', async () => {
      queue.add('a', 'b');
      client.send(
        ['ECHO', '1'],
        ['RPOP', key],
        ['ECHO', '2'],
        ['BRPOP', key, '0'],
        ['ECHO', '3'],
        ['RPOP', key],
        ['ECHO', '4'],
      );
      await client.expect(
        `$1\r\n1\r\n$1\r\na\r\n$1\r\n2\r\n*2\r\n$${key.length}\r\n${key}\r\n$1\r\nb\r\n$1\r\n3\r\n$-1\r\n$1\r\n4\r\n`,
      );
    });

    it('lets later requests of a blocked client wait, and answers the key as it was written', async () => {
      const plain = `analyzer:3:${queue.uuid.replaceAll('-', '').toUpperCase()}`;
      client.send(['BRPOP', UNKNOWN, plain, '0'], ['PING']);
      const other = await another();
      assert.equal(await other.ask('RPUSH', key, 'x'), ':1');
      await client.expect(`*2\r\n$${plain.length}\r\n${plain}\r\n$1\r\nx\r\n+PONG\r\n`);
      await other.close();
    });

    it('ends a blocking pop after its time-out, in RESP2 and RESP3', async () => {
      client.send(['BLPOP', key, '0.01']);
      await client.expect('*-1\r\n');
      client.send(['HELLO', '3']);
      await client.expect('%7\r\n$6\r\nserver\r\n$2\r\nd4\r\n$7\r\nversion\r\n$6\r\n7.0.15\r\n$5\r\nproto\r\n:3\r\n');
      await client.line();
      await client.line();
      assert.match(await client.line(), /^:\d+$/);
      await client.expect('$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n$7\r\nmodules\r\n*0\r\n');
      client.send(['BRPOP', key, '.01'], ['RPOP', key], ['RPOP', key, '2'], ['RPOP', UNKNOWN, '2']);
      await client.expect('_\r\n_\r\n_\r\n_\r\n');
    });

    it('treats an unknown queue as empty, notes who asked, and refuses to push to it', async () => {
      client.send(['RPOP', UNKNOWN], ['LPOP', UNKNOWN, '5'], ['BRPOP', UNKNOWN, '0.01'], ['LLEN', UNKNOWN]);
      await client.expect('$-1\r\n*-1\r\n*-1\r\n:0\r\n');
      client.send(['LRANGE', UNKNOWN, '0', '-1'], ['LINDEX', UNKNOWN, '0'], ['DEL', UNKNOWN], ['TYPE', UNKNOWN]);
      await client.expect('*0\r\n$-1\r\n:0\r\n+none\r\n');
      assert.match(await client.ask('RPUSH', UNKNOWN, 'x'), /^-ERR no queue has the key/);
      assert.match(await client.ask('LPUSH', UNKNOWN, 'x'), /^-ERR no queue has the key/);
      const [consumer] = queues.unknownConsumers();
      assert.equal(consumer?.key, UNKNOWN);
      assert.equal(consumer?.address, '127.0.0.1');
      assert.equal(consumer?.count, 3);
    });

    it('knows filled queues as lists, and flushes by DEL', async () => {
      queues.make('8');
      queue.add('a', 'b');
      client.send(['EXISTS', key, UNKNOWN, key], ['TYPE', key], ['KEYS', 'analyzer:3:*'], ['KEYS', 'analyzer:8:*']);
      await client.expect(`:2\r\n+list\r\n*1\r\n$${key.length}\r\n${key}\r\n*0\r\n`);
      client.send(['SCAN', '0', 'MATCH', '*:3:*', 'COUNT', '10'], ['DBSIZE']);
      await client.expect(`*2\r\n$1\r\n0\r\n*1\r\n$${key.length}\r\n${key}\r\n:1\r\n`);
      client.send(['DEL', key, UNKNOWN], ['DEL', key], ['EXISTS', key], ['TYPE', key], ['LLEN', key]);
      await client.expect(':1\r\n:0\r\n:0\r\n+none\r\n:0\r\n');
    });

    it('gives back what was popped for a client that disconnected', async () => {
      queue.add('a');
      for (let i = 0; i < 5; i++) {
        const waiting = await another();
        waiting.send(['PING'], ['BRPOP', UNKNOWN, key, '0']);
        if (i === 0) await waiting.expect(`+PONG\r\n*2\r\n$${key.length}\r\n${key}\r\n$1\r\na\r\n`);
        else await waiting.expect('+PONG\r\n');
        await waiting.close();
      }
      while (socket.clients > 1) await client.sync();
      queue.add('b', 'c');
      await client.sync();
      assert.deepEqual(await left(), ['b', 'c']);
    });

    it('stops reading a client that does not read, and gives back what it never got', async () => {
      const big = Buffer.alloc(64 * 1024, 'x');
      const count = 1000;
      for (let i = 0; i < count; i++) queue.add(big);
      const deaf = await another();
      deaf.socket.pause();
      deaf.send(...Array.from({ length: count }, () => ['RPOP', key]));
      // Taking stops at what the system's buffers and the server's bound hold, far from all.
      let before = -1;
      while (queue.length !== before || before === count) {
        before = queue.length;
        await client.sync();
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      assert.ok(queue.length > count / 2, `${queue.length} items are left`);
      const length = queue.length;
      await deaf.close();
      while (socket.clients > 1) await client.sync();
      assert.ok(queue.length >= length + 3 * 16, `${queue.length - length} items came back`);
    });

    it('closes without losing what blocked clients wait for', async () => {
      const waiting = await Promise.all([another(), another()]);
      for (const each of waiting) {
        each.send(['PING'], ['BRPOP', key, '0']);
        await each.expect('+PONG\r\n');
      }
      queue.add('a', 'b', 'c');
      closed = true;
      await socket.close();
      const answers = (await Promise.all(waiting.map((each) => each.ended))).join('');
      const served = ['a', 'b', 'c'].filter((item) => answers.includes(`\r\n${item}\r\n`));
      assert.deepEqual([...served, ...(await left())], ['a', 'b', 'c']);
    });

    it('answers what is under way before it closes', async () => {
      queue.add('a');
      await client.sync();
      client.send(['RPOP', key]);
      while (queue.length > 0) await new Promise((resolve) => setImmediate(resolve));
      closed = true;
      await socket.close();
      assert.equal(await client.ended, '$1\r\na\r\n');
      assert.equal(socket.clients, 0);
    });

    it('answers a failure of the queue as an error, and goes on', async () => {
      queue.add('a');
      queue.failure = new Error('broken');
      assert.equal(await client.ask('RPOP', key), '-ERR RPOP failed in the server; its log says why');
      queue.failure = new Error('broken');
      assert.match(await client.ask('BRPOP', key, '0'), /^-ERR BRPOP failed/);
      client.send(['RPOP', key]);
      await client.expect('$1\r\na\r\n');
    });

    it('shares records among 50 blocked clients without a loss or a double', async () => {
      const consumers = await Promise.all(Array.from({ length: 50 }, another));
      const total = 2000;
      const seen: string[] = [];
      const consuming = consumers.map(async (consumer) => {
        for (;;) {
          assert.equal(await consumer.ask('BRPOP', key, '0'), '*2');
          await consumer.line();
          await consumer.line();
          await consumer.line();
          const item = await consumer.line();
          if (item === 'end') return;
          seen.push(item);
        }
      });
      for (let i = 0; i < total; i++) {
        queue.add(String(i));
        if (i % 37 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
      queue.add(...Array.from({ length: 50 }, () => 'end'));
      await Promise.all(consuming);
      assert.deepEqual(
        seen.map(Number).sort((a, b) => a - b),
        Array.from({ length: total }, (_, i) => i),
      );
      assert.equal(queue.length, 0);
      await Promise.all(consumers.map((each) => each.close()));
    });
  });
}

describe('the Redis socket', () => {
  let queues: MemoryQueues;
  let socket: RedisSocket;
  let client: RawClient;

  beforeEach(async () => {
    queues = new MemoryQueues();
    socket = await startRedisSocket({ listen, queues, log, maxClients: 3 });
    client = await RawClient.connect(socket.address);
  });

  afterEach(async () => {
    await client.close();
    await socket.close();
  });

  for (const [words, answer] of [
    [['PING'], '+PONG'],
    [['ping', 'hi'], '$2'],
    [['SELECT', '2'], '+OK'],
    [['SELECT', '16'], '-ERR DB index is out of range'],
    [['SELECT', 'x'], '-ERR value is not an integer or out of range'],
    [['AUTH', 'x'], '-ERR AUTH <password> called without any password configured for the default user'],
    [['AUTH', 'default', 'x'], '+OK'],
    [['AUTH', 'other', 'x'], '-WRONGPASS invalid username-password pair or user is disabled.'],
    [['HELLO', '4'], '-NOPROTO unsupported protocol version'],
    [['HELLO', '2', 'SETNAME', 'me'], '*14'],
    [['CLIENT', 'SETNAME', 'me'], '+OK'],
    [['CLIENT', 'SETNAME', 'a b'], '-ERR Client names cannot contain spaces, newlines or special characters.'],
    [['CLIENT', 'GETNAME'], '$-1'],
    [['CLIENT', 'SETINFO', 'LIB-NAME', 'redis-py'], '+OK'],
    [['CLIENT', 'SETINFO', 'LIB-COLOUR', 'x'], "-ERR Unrecognized option 'LIB-COLOUR'"],
    [['CLIENT', 'REPLY', 'OFF'], "-ERR unknown subcommand 'REPLY'. Try CLIENT ID, LIST, SETNAME, UNBLOCK."],
    [['CLIENT', 'UNBLOCK', '999'], ':0'],
    [['COMMAND', 'DOCS'], '*0'],
    [['COMMAND', 'COUNT'], ':32'],
    [['RESET'], '+RESET'],
    [['LLEN'], "-ERR wrong number of arguments for 'llen' command"],
    [['RPOP', 'k', '-1'], '-ERR value is out of range, must be positive'],
    [['RPOP', 'k', '1', '2'], '-ERR syntax error'],
    [['BRPOP', 'k', '-1'], '-ERR timeout is negative'],
    [['BRPOP', 'k', 'soon'], '-ERR timeout is not a float or out of range'],
    [['BRPOP', 'k', '1e999'], '-ERR timeout is not a float or out of range'],
    [['FLUSH\r\nALL', 'a'], "-ERR unknown command 'FLUSH??ALL', with args beginning with: 'a' "],
    [['constructor'], "-ERR unknown command 'constructor', with args beginning with: "],
  ] as const) {
    it(`answers ${JSON.stringify(words.join(' '))}`, async () => assert.equal(await client.ask(...words), answer));
  }

  it('takes inline requests', async () => {
    client.write('PING\r\nECHO "a b"\n');
    await client.expect('+PONG\r\n$3\r\na b\r\n');
  });

  it('tells about itself and its clients', async () => {
    client.send(
      ['CLIENT', 'SETNAME', 'me'],
      ['CLIENT', 'LIST'],
      ['INFO', 'clients'],
      ['INFO', 'persistence'],
      ['COMMAND'],
    );
    assert.equal(await client.line(), '+OK');
    await client.line();
    assert.match(await client.line(), /^id=\d+ addr=127\.0\.0\.1:\d+ name=me age=\d+ db=0 flags=N cmd=client resp=2/);
    await client.line();
    await client.expect('# Clients\r\nconnected_clients:1\r\nmaxclients:3\r\nblocked_clients:0\r\n\r\n');
    await client.expect(
      '$26\r\n# Persistence\r\nloading:0\r\n\r\n*32\r\n*6\r\n$4\r\nping\r\n:-1\r\n*1\r\n+fast\r\n:0\r\n:0\r\n:0\r\n',
    );
  });

  it('lets one client end the wait of another', async () => {
    const other = await RawClient.connect(socket.address);
    const id = (await other.ask('CLIENT', 'ID')).slice(1);
    other.send(['BRPOP', UNKNOWN, '0']);
    while ((await client.ask('CLIENT', 'UNBLOCK', id)) === ':0') await client.sync();
    await other.expect('*-1\r\n');
    other.send(['BRPOP', UNKNOWN, '0']);
    while ((await client.ask('CLIENT', 'UNBLOCK', id, 'ERROR')) === ':0') await client.sync();
    await other.expect('-UNBLOCKED client unblocked via CLIENT UNBLOCK\r\n');
    await other.close();
  });

  it('answers QUIT and closes', async () => {
    client.send(['PING'], ['QUIT'], ['PING']);
    assert.equal(await client.ended, '+PONG\r\n+OK\r\n');
  });

  it('answers a client that has ended its side', async () => {
    client.send(['PING']);
    client.socket.end();
    assert.equal(await client.ended, '+PONG\r\n');
  });

  for (const text of [
    'POST / HTTP/1.1\r\n\r\n',
    'GET /x HTTP/1.0\r\n',
    'Host: localhost\r\n',
    '*1\r\n$4\r\nPOST\r\n',
  ]) {
    it(`cuts off who says ${JSON.stringify(text)}`, async () => {
      client.write(`${text}PING\r\n`);
      assert.equal(await client.ended, '');
    });
  }

  it('answers a broken request and closes', async () => {
    client.write('PING\r\n*1\r\n$x\r\nPING\r\n');
    assert.equal(await client.ended, '+PONG\r\n-ERR Protocol error: invalid bulk length\r\n');
  });

  it('refuses clients over the limit, and takes new ones when others have gone', async () => {
    const others = await Promise.all([RawClient.connect(socket.address), RawClient.connect(socket.address)]);
    await Promise.all(others.map((each) => each.sync()));
    const refused = await RawClient.connect(socket.address);
    assert.equal(await refused.ended, '-ERR max number of clients reached\r\n');
    await Promise.all(others.map((each) => each.close()));
    while (socket.clients > 1) await client.sync();
    const again = await RawClient.connect(socket.address);
    await again.sync();
    await again.close();
  });

  it('says who is in the way when the port is taken', async () => {
    await assert.rejects(startRedisSocket({ listen: socket.address, queues, log }), {
      code: 'D4_LISTEN',
      message: /^cannot listen for queue clients at 127\.0\.0\.1:\d+: the port is in use by another program/,
    });
  });
});
