import assert from 'node:assert/strict';
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { test } from 'node:test';
import { redisListSource } from './redis-source.ts';

/** A server that speaks as much of the Redis protocol as a consumer of one list needs. */
class ListServer {
  readonly items: Buffer[] = [];
  readonly commands: string[] = [];
  readonly #sockets = new Set<net.Socket>();
  readonly #server = net.createServer((socket) => this.#serve(socket));

  async listen(port = 0): Promise<number> {
    this.#server.listen(port, '127.0.0.1');
    await once(this.#server, 'listening');
    return (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  #serve(socket: net.Socket): void {
    this.#sockets.add(socket);
    socket.on('error', () => {});
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      for (;;) {
        const command = /^\*(\d+)\r\n((?:\$\d+\r\n[^\r]*\r\n)+)/.exec(text);
        const words = command?.[2]?.split('\r\n').filter((_, i) => i % 2 === 1) ?? [];
        if (command === null || words.length < Number(command[1])) return;
        text = text.slice(command[0].length);
        socket.write(this.#answer(words));
      }
    });
  }

  #answer(words: string[]): Buffer {
    const [name = '', ...rest] = words.map((word, i) => (i === 0 ? word.toLowerCase() : word));
    this.commands.push([name, ...rest].join(' '));
    if (name === 'info') return Buffer.from('$17\r\nredis_version:7.0\r\n');
    if (name !== 'lpop') return Buffer.from('+OK\r\n');
    const item = this.items.shift();
    if (item === undefined) return Buffer.from('$-1\r\n');
    return Buffer.concat([Buffer.from(`$${item.length}\r\n`), item, Buffer.from('\r\n')]);
  }
}

function open(port: number, onTrouble: (text: string) => void = () => {}) {
  const stop = new AbortController();
  const source = redisListSource({
    host: '127.0.0.1',
    port,
    database: 2,
    queue: 'analyzer:3:u',
    pollMs: 5,
    onTrouble,
  });
  assert.equal(source.endless, true);
  return { stop, items: source.read(stop.signal)[Symbol.asyncIterator]() };
}

test('pops items of the queue in its database, each with a newline, and waits for more', async () => {
  const server = new ListServer();
  const { stop, items } = open(await server.listen());
  server.items.push(Buffer.from('one'), Buffer.from([0xff, 0x00]));
  assert.equal(String((await items.next()).value), 'one\n');
  assert.deepEqual((await items.next()).value, Buffer.from([0xff, 0x00, 0x0a]));
  const third = items.next();
  server.items.push(Buffer.from('three'));
  assert.equal(String((await third).value), 'three\n');
  assert.ok(server.commands.includes('select 2'));
  assert.ok(server.commands.includes('lpop analyzer:3:u'));
  const end = items.next();
  stop.abort();
  assert.equal((await end).done, true);
  await server.close();
});

test('a Redis server that comes later, or comes back, is used again', async () => {
  const first = new ListServer();
  const port = await first.listen();
  await first.close();
  const trouble = Promise.withResolvers<string>();
  const { stop, items } = open(port, trouble.resolve);
  const next = items.next();
  assert.match(await trouble.promise, /^Redis at 127\.0\.0\.1:\d+\/2: connect ECONNREFUSED/);
  const second = new ListServer();
  second.items.push(Buffer.from('one'));
  await second.listen(port);
  assert.equal(String((await next).value), 'one\n');
  await second.close();
  const after = items.next();
  const third = new ListServer();
  third.items.push(Buffer.from('two'));
  await third.listen(port);
  assert.equal(String((await after).value), 'two\n');
  stop.abort();
  assert.equal((await items.next()).done, true);
  await third.close();
});

test('a stop while the Redis server is away ends the source, also between two attempts', async () => {
  const server = new ListServer();
  const port = await server.listen();
  await server.close();
  for (const waitMs of [0, 10]) {
    const failed = Promise.withResolvers<string>();
    const { stop, items } = open(port, failed.resolve);
    const end = items.next();
    if (waitMs > 0) {
      await failed.promise;
      await new Promise((resolve) => setTimeout(resolve, waitMs));
    }
    stop.abort();
    assert.equal((await end).done, true);
  }
});
