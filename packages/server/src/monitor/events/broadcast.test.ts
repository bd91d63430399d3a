import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import { Broadcast } from './broadcast.ts';

/** A client that reads when it is told to. */
class SlowClient extends Writable {
  text = '';
  #go: (() => void) | undefined;
  isReading = true;

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.text += chunk;
    if (this.isReading) done();
    else this.#go = done;
  }

  read(): void {
    this.isReading = true;
    const go = this.#go;
    this.#go = undefined;
    go?.();
  }

  get events(): string[] {
    return [...this.text.matchAll(/^event: (.*)$/gm)].map(([, event]) => event ?? '');
  }

  get lastId(): string | undefined {
    return [...this.text.matchAll(/^id: (.*)$/gm)].at(-1)?.[1];
  }
}

test('who comes back gets what it has missed, but not what is worth nothing later', () => {
  const broadcast = new Broadcast('run');
  const client = new SlowClient();
  const leave = broadcast.add(client, undefined, { at: 1 });
  broadcast.send('states', { n: 1 });
  assert.deepEqual(client.events, ['hello', 'states']);
  leave();
  assert.equal(broadcast.clients, 0);
  broadcast.send('states', { n: 2 });
  broadcast.send('rates', { n: 3 }, { transient: true });
  broadcast.send('states', { n: 4 });
  const back = new SlowClient();
  broadcast.add(back, client.lastId, {});
  assert.deepEqual(
    [...back.text.matchAll(/"n":(\d)/g)].map(([, n]) => n),
    ['2', '4'],
  );
  const again = new SlowClient();
  broadcast.add(again, back.lastId, {});
  assert.deepEqual(again.events, ['hello']);
});

test('who was away for too long, or comes from another run, is told so', () => {
  const broadcast = new Broadcast('run');
  const first = new SlowClient();
  broadcast.add(first, undefined, {});
  for (let n = 0; n < 250; n++) broadcast.send('states', { n });
  for (const id of [first.text.match(/^id: (.*)$/m)?.[1], 'another-5', 'nonsense', 'run-99999']) {
    const back = new SlowClient();
    broadcast.add(back, id, {});
    assert.deepEqual(back.events, ['hello', 'missed'], id);
  }
  broadcast.interrupt();
  const interrupted = new SlowClient();
  broadcast.add(interrupted, first.lastId, {});
  assert.deepEqual(interrupted.events, ['hello', 'missed']);
});

test('who reads slowly loses events, is told how many, and holds nobody up', () => {
  const broadcast = new Broadcast('run');
  const [slow, quick] = [new SlowClient(), new SlowClient()];
  broadcast.add(slow, undefined, {});
  broadcast.add(quick, undefined, {});
  slow.isReading = false;
  const data = 'x'.repeat(100_000);
  for (let n = 0; n < 20; n++) broadcast.send('rates', { data }, { transient: true });
  assert.equal(quick.events.length, 21);
  assert.ok(slow.writableLength <= 512 * 1024);
  slow.read();
  broadcast.send('states', {});
  const { events, text } = slow;
  assert.equal(events.at(-1), 'states');
  const dropped = Number(/event: dropped\ndata: \{"count":(\d+)\}/.exec(text)?.[1]);
  assert.equal(events.filter((event) => event === 'rates').length + dropped, 20);
});

test('a heartbeat is a comment, for those who read', () => {
  const broadcast = new Broadcast('run');
  const client = new SlowClient();
  broadcast.add(client, undefined, {});
  broadcast.beat();
  assert.match(client.text, /\n\n: .*\n\n$/);
});
