import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { networkInterfaces } from 'node:os';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, it } from 'node:test';
import type { ExportTargets } from '../registry/exporter.ts';
import { ExportUnderTest, UdpReceiver as Receiver, Said } from './export-fixture.ts';
import { runQueueExport } from './queue-export.ts';

const EVENTS = readFileSync(new URL('../../../../test/data/maltrail/events.txt', import.meta.url));

const HAS_IPV6 = Object.values(networkInterfaces()).some((each) => each?.some(({ address }) => address === '::1'));

describe('d4 export udp', () => {
  let under: ExportUnderTest;
  let queue: ExportUnderTest['queue'];
  let receiver: Receiver;
  let said: Said;

  const start = (options: Partial<ExportTargets['udp']> = {}): Promise<number> =>
    under.start({ kind: 'udp', host: '127.0.0.1', port: receiver.port, ...options });
  const stopped = (): Promise<number> => under.stop();

  beforeEach(async () => {
    under = await ExportUnderTest.open();
    ({ queue, said } = under);
    receiver = await Receiver.open();
  });

  afterEach(async () => {
    await under.close();
    await receiver.close();
  });

  it('sends each record as one datagram, byte for byte and in order, also those that come later', async () => {
    const lines = EVENTS.toString('latin1').split('\n').slice(0, -1);
    const half = lines.length / 2;
    queue.add(...lines.slice(0, half).map((line) => Buffer.from(line, 'latin1')));
    start();
    await receiver.until(half);
    for (const line of lines.slice(half)) queue.add(Buffer.from(line, 'latin1'));
    await receiver.until(lines.length);
    assert.equal(await stopped(), 0);
    assert.ok(Buffer.concat(receiver.datagrams).equals(EVENTS));
    assert.equal(receiver.datagrams.length, lines.length);
    assert.match(said.text, /54 delivered, 0 errors, 0 skipped\n$/);
  });

  it('takes a backlog at its rate without loss', async () => {
    const count = 3000;
    for (let i = 0; i < count; i++) queue.add(`${i} ${'x'.repeat(200)}`);
    start();
    await receiver.until(count);
    assert.deepEqual(
      receiver.texts.map((text) => Number.parseInt(text, 10)),
      Array.from({ length: count }, (_, i) => i),
    );
  });

  it('sends the largest datagram there is, and skips what is larger with a warning', async () => {
    queue.add('first', Buffer.alloc(65_506, 'a'), Buffer.alloc(65_507, 'b'), Buffer.alloc(9_000, 'c'), 'last');
    start();
    await receiver.until(4);
    assert.equal(await stopped(), 0);
    assert.deepEqual(
      receiver.datagrams.map((datagram) => datagram.length),
      [6, 65_507, 9_001, 5],
    );
    assert.match(
      said.text,
      /a record of 65508 bytes is skipped: a datagram carries at most 65,507 \(1 skipped so far\)/,
    );
    assert.match(said.text, /4 delivered, 0 errors, 1 skipped, 2 over 8,192 bytes \(Maltrail cuts them\)\n$/);
  });

  it('sends to a host name', async () => {
    queue.add('name');
    start({ host: 'localhost' });
    // Where the name is an IPv6 address nobody listens, and that is seen.
    await Promise.race([receiver.until(1), said.until('localhost')]);
  });

  it('sends to an IPv6 address', { skip: HAS_IPV6 ? false : 'this machine has no IPv6' }, async () => {
    const other = await Receiver.open(0, '::1');
    queue.add('six');
    start({ host: '::1', port: other.port });
    await other.until(1);
    await other.close();
    assert.deepEqual(other.texts, ['six\n']);
  });

  it('goes on when the server comes back after a restart', async () => {
    const { port } = under.socket.address;
    queue.add('a');
    start();
    await receiver.until(1);
    await under.socket.close();
    await said.until('no connection to the queue server');
    queue.add('b');
    await under.listen(port);
    await receiver.until(2);
    queue.add('c');
    await receiver.until(3);
    assert.deepEqual(receiver.texts, ['a\n', 'b\n', 'c\n']);
    assert.equal(await stopped(), 0);
    assert.match(said.text, /connected to the queue server/);
  });

  it('stops while it waits to try again', async () => {
    await under.socket.close();
    start();
    await said.until('trying again until there is one');
    // The connection that failed is gone, and the next attempt is some time away.
    await new Promise((resolve) => setTimeout(resolve, 10));
    assert.equal(await stopped(), 0);
  });

  it('starts before the server, and stops while there is none', async () => {
    const { port } = under.socket.address;
    await under.socket.close();
    start();
    await said.until('trying again until there is one');
    assert.equal(await stopped(), 0);
    start();
    await under.listen(port);
    queue.add('a');
    await receiver.until(1);
    assert.equal(await stopped(), 0);
  });

  const paces = [{ pace: 'at its rate' }, { pace: 'without a rate', rate: 0 }];
  for (const { pace, ...options } of paces) {
    it(`${pace} holds records while nobody listens at the receiver, and goes on when somebody does`, async () => {
      const { port } = receiver;
      queue.add('a');
      start(options);
      await receiver.until(1);
      await receiver.close();
      queue.add('b', 'c', 'd');
      await said.until('refuses datagrams (ECONNREFUSED)');
      receiver = await Receiver.open(port);
      await receiver.until(3);
      // The first that was refused too: on one machine that is known at once.
      assert.deepEqual(receiver.texts, ['b\n', 'c\n', 'd\n']);
      assert.equal(await stopped(), 0);
      assert.match(said.text, /takes datagrams again/);
      assert.match(said.text, /4 delivered, [1-9]\d* errors/);
    });
  }

  it('gives back what it holds, in order, when it is stopped', async () => {
    const items = Array.from({ length: 250 }, (_, i) => String(i));
    queue.add(...items);
    start({ rate: 50 });
    await receiver.until(3);
    assert.equal(await stopped(), 0);
    const sent = receiver.texts.map((text) => text.trim());
    assert.ok(sent.length < 100);
    assert.deepEqual([...sent, ...(await queue.peek(1000)).map(String)], items);
    assert.match(said.text, /\d+ records given back/);
  });

  it('loses nothing when it is stopped while records come in', async () => {
    const items: string[] = [];
    for (let round = 0; round < 20; round++) {
      start({ rate: 100_000 });
      const before = receiver.datagrams.length;
      items.push(`${round}`);
      queue.add(`${round}`);
      await receiver.until(before + 1);
      items.push(`${round}+`);
      under.abort();
      queue.add(`${round}+`);
      assert.equal(await stopped(), 0);
    }
    const sent = receiver.texts.map((text) => text.trim());
    assert.deepEqual([...sent, ...(await queue.peek(1000)).map(String)], items);
  });

  it('says so where it cannot give back', async () => {
    queue.add('a', 'b', 'c');
    start({ rate: 1 });
    await receiver.until(1);
    await under.queues.remove(queue.uuid);
    assert.equal(await stopped(), 1);
    assert.match(said.text, /2 records could not be given back .* ERR no queue has the key/);
  });

  it('says what it does, and that no datagram can go', async () => {
    start({ host: 'fe80::1', port: 8337 });
    await said.until('cannot send to [fe80::1]:8337: ');
    assert.match(said.text, new RegExp(`^d4 export udp: exporting queue ${queue.uuid} of type maltrail to udp `));
    assert.equal(await stopped(), 0);
  });

  it('says so where there is no such queue', async () => {
    const other = '0d0c5d58-1e4d-4d4f-9f7b-5a3f2f0a9c11';
    const code = await under.start({ kind: 'udp', host: '127.0.0.1', port: receiver.port }, { queue: other });
    assert.equal(code, 1);
    assert.match(
      said.text,
      new RegExp(`there is no queue ${other} of type maltrail at .*"d4 queue add maltrail" makes one`),
    );
  });

  it('without a rate sends everything as well', async () => {
    const count = 3000;
    for (let i = 0; i < count; i++) queue.add(i % 100 === 50 ? Buffer.alloc(70_000) : `${i} ${'x'.repeat(100)}`);
    start({ rate: 0 });
    await receiver.until(300);
    assert.equal(await stopped(), 0);
    const [, delivered, skipped] = /(\d+) delivered, 0 errors, (\d+) skipped\n$/.exec(said.text) ?? [];
    assert.equal(Number(delivered) + Number(skipped) + (await under.left()).length, count);
    const numbers = receiver.texts.map((text) => Number.parseInt(text, 10));
    assert.deepEqual(
      numbers,
      numbers.toSorted((a, b) => a - b),
    );
  });
});

describe('d4 export from servers of other kinds', () => {
  let server: Server;
  let receiver: Receiver;
  let said: Said;
  let stop: AbortController;

  /** A server that answers commands by name, as a Redis would, and closes where it knows no answer. */
  async function serve(answer: (command: string[]) => string | undefined): Promise<number> {
    server = createServer((client) => {
      let text = '';
      client.on('error', () => {});
      client.on('data', (chunk) => {
        text += chunk.toString('latin1');
        for (let request = readRequest(text); request !== undefined; request = readRequest(text)) {
          text = request.rest;
          const reply = answer(request.words);
          if (reply === undefined) client.destroy();
          else client.write(reply);
        }
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  const run = (redisPort: number): Promise<number> =>
    runQueueExport(
      {
        type: '3',
        queue: '0d0c5d58-1e4d-4d4f-9f7b-5a3f2f0a9c11',
        target: { kind: 'udp', host: '127.0.0.1', port: receiver.port },
        redisHost: '127.0.0.1',
        redisPort,
        verbose: false,
      },
      stop.signal,
      { stdout: new PassThrough(), stderr: said },
    );

  beforeEach(async () => {
    receiver = await Receiver.open();
    said = new Said();
    stop = new AbortController();
  });

  afterEach(async () => {
    await new Promise((resolve) => server.close(resolve));
    await receiver.close();
  });

  it('pops one at a time where the server takes no count', async () => {
    const items = ['a', 'b', 'c'];
    const port = await serve(([name = '', ...rest]) => {
      if (name === 'info') return '$9\r\nloading:0\r\n';
      if (name === 'rpop' && rest.length > 1) return "-ERR wrong number of arguments for 'rpop' command\r\n";
      if (name === 'brpop') return '';
      if (name === 'client' && rest[0]?.toUpperCase() === 'LIST') return undefined;
      if (name !== 'rpop') return '+OK\r\n';
      const item = items.shift();
      return item === undefined ? '$-1\r\n' : `$${item.length}\r\n${item}\r\n`;
    });
    const running = run(port);
    await receiver.until(3);
    stop.abort();
    assert.equal(await running, 0);
    assert.deepEqual(receiver.texts, ['a\n', 'b\n', 'c\n']);
  });

  it('keeps what has come of an answer when the connection breaks', async () => {
    const answers = ['*3\r\n$1\r\na\r\n$1\r\nb\r\n$5\r\nlo', undefined, '*1\r\n$1\r\nc\r\n', '*-1\r\n'];
    const port = await serve(([name = '', ...rest]) => {
      if (name === 'brpop') return '';
      if (name === 'client' && rest[0]?.toUpperCase() === 'ID') return ':7\r\n';
      if (name === 'client' && rest[0]?.toUpperCase() === 'UNBLOCK') return undefined;
      return name === 'rpop' ? (answers.length > 0 ? answers.shift() : '*-1\r\n') : '+OK\r\n';
    });
    const running = run(port);
    await receiver.until(3);
    stop.abort();
    assert.equal(await running, 0);
    assert.deepEqual(receiver.texts, ['a\n', 'b\n', 'c\n']);
    assert.match(said.text, /no connection to the queue server/);
  });

  it('fails where the key is no list', async () => {
    const port = await serve(([name = '']) => {
      if (name === 'info') return '$9\r\nloading:0\r\n';
      if (name === 'rpop') return '-WRONGTYPE Operation against a key holding the wrong kind of value\r\n';
      return '+OK\r\n';
    });
    assert.equal(await run(port), 1);
    assert.match(said.text, /answers: WRONGTYPE/);
  });

  it('does not let a server speak to the terminal', async () => {
    const port = await serve(([name = '']) => {
      if (name === 'info') return '$9\r\nloading:0\r\n';
      return name === 'rpop' ? '-WRONGTYPE \x1b[2Jowned\r\n' : '+OK\r\n';
    });
    assert.equal(await run(port), 1);
    assert.match(said.text, /WRONGTYPE \?\[2Jowned/);
  });
});

function readRequest(text: string): { words: string[]; rest: string } | undefined {
  const head = /^\*(\d+)\r\n/.exec(text);
  if (head === null) return undefined;
  const words: string[] = [];
  let at = head[0].length;
  for (let i = 0; i < Number(head[1]); i++) {
    const length = /^\$(\d+)\r\n/.exec(text.slice(at));
    if (length === null) return undefined;
    const start = at + length[0].length;
    at = start + Number(length[1]) + 2;
    if (text.length < at) return undefined;
    words.push(text.slice(start, at - 2));
  }
  return { words: words.map((word, i) => (i === 0 ? word.toLowerCase() : word)), rest: text.slice(at) };
}
