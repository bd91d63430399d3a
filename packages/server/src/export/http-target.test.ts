import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { afterwards, makeTestCertificates, temporaryFolder } from '@d4ts/testkit';
import { ExportUnderTest } from './export-fixture.ts';
import { retryAfter } from './http-target.ts';

interface Posted {
  readonly lines: string[];
  readonly headers: IncomingHttpHeaders;
}

/** A server that answers as it is told, and keeps what it has taken. */
class HttpReceiver {
  readonly taken: Posted[] = [];
  readonly seen: Posted[] = [];
  answer: (posted: Posted, response: ServerResponse) => boolean = () => true;
  readonly server: Server;
  #wake: () => void = () => {};

  constructor(tls?: { cert: string; key: string }) {
    this.server = tls === undefined ? createServer() : createTlsServer(tls);
    this.server.on('request', async (request, response) => {
      const lines = (await buffer(request)).toString().split('\n').slice(0, -1);
      const posted = { lines, headers: request.headers };
      this.seen.push(posted);
      if (this.answer(posted, response)) {
        this.taken.push(posted);
        if (!response.writableEnded) response.writeHead(204).end();
      }
      this.#wake();
    });
  }

  async listen(port = 0): Promise<number> {
    this.server.listen(port, '127.0.0.35');
    await once(this.server, 'listening');
    const address = this.server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  get records(): string[] {
    return this.taken.flatMap(({ lines }) => lines);
  }

  close(): Promise<void> {
    this.server.closeAllConnections();
    return new Promise((resolve) => this.server.close(() => resolve()));
  }
}

async function receiverFor(t: TestContext): Promise<{ receiver: HttpReceiver; url: string; port: number }> {
  const receiver = new HttpReceiver();
  const port = await receiver.listen();
  afterwards(t, () => receiver.close());
  return { receiver, port, url: `http://127.0.0.35:${port}/in?x=1` };
}

test('http: records as lines of JSON, with the headers that were given', async (t) => {
  const under = await ExportUnderTest.for(t, 'maltrail');
  const { receiver, url } = await receiverFor(t);
  under.queue.add('a "quoted" line', Buffer.from([0xff, 0x00]));
  under.start({ kind: 'http', url }, { secrets: { headers: { Authorization: 'Bearer t' } } });
  await receiver.until(() => receiver.records.length === 2);
  assert.equal(await under.stop(), 0);
  assert.deepEqual(
    receiver.records.map((line) => JSON.parse(line)),
    [
      { type: 'maltrail', record: 'a "quoted" line' },
      { type: 'maltrail', base64: '/wA=' },
    ],
  );
  const [{ headers } = { headers: {} as IncomingHttpHeaders }] = receiver.taken;
  assert.equal(headers.authorization, 'Bearer t');
  assert.equal(headers['content-type'], 'application/x-ndjson');
  assert.doesNotMatch(under.said.text, /Bearer/);
  assert.deepEqual(await under.left(), []);
});

test('http: batches of what is there; raw records unchanged', async (t) => {
  const under = await ExportUnderTest.for(t, '6');
  const { receiver, url } = await receiverFor(t);
  const records = Array.from({ length: 5_000 }, (_, i) => `{"n":${i}}`);
  under.queue.add(...records);
  under.start({ kind: 'http', url, raw: true });
  await receiver.until(() => receiver.records.length >= records.length);
  assert.deepEqual(receiver.records, records);
  assert.ok(receiver.taken.length < 100);
});

test('http: what is not taken is sent again, as the same batch; a body that is too large in parts', async (t) => {
  const under = await ExportUnderTest.for(t, '6');
  const { receiver, url } = await receiverFor(t);
  let refusals = 2;
  receiver.answer = ({ lines }, response) => {
    if (refusals-- > 0) response.writeHead(503, { 'retry-after': '0' }).end('later');
    else if (lines.length > 1 || lines[0] === 'too long') response.writeHead(413).end();
    else return true;
    return false;
  };
  under.queue.add('1', '2', 'too long', '3');
  under.start({ kind: 'http', url, raw: true });
  await receiver.until(() => receiver.records.length === 3);
  await under.said.until('a record of 8 bytes is skipped');
  assert.equal(await under.stop(), 0);
  assert.deepEqual(receiver.records, ['1', '2', '3']);
  const [first, second] = receiver.seen;
  assert.equal(first?.headers['x-d4-batch'], second?.headers['x-d4-batch']);
  assert.match(under.said.text, /answers 503: records are held/);
  assert.match(under.said.text, /3 delivered, 2 errors, 1 skipped, 8 sent again\n$/);
});

test('http: a receiver that is killed in the middle of a request gets it when it is back', async (t) => {
  const under = await ExportUnderTest.for(t, '6');
  const { receiver, url, port } = await receiverFor(t);
  receiver.answer = (_posted, response) => {
    response.socket?.destroy();
    return false;
  };
  const records = Array.from({ length: 1_500 }, (_, i) => `{"n":${i}}`);
  under.queue.add(...records);
  under.start({ kind: 'http', url, raw: true });
  await receiver.until(() => receiver.seen.length > 0);
  await receiver.close();
  await under.said.until(/cannot post to http http:\/\/127.0.0.35:\d+\/in: connect ECONNREFUSED/);
  const again = new HttpReceiver();
  await again.listen(port);
  afterwards(t, () => again.close());
  await again.until(() => again.records.length >= records.length);
  assert.deepEqual(again.records, records);
});

test('http: over TLS the certificate is checked', async (t) => {
  const under = await ExportUnderTest.for(t, '6');
  const made = await makeTestCertificates();
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, 'ca'), made.ca);
  const receiver = new HttpReceiver(made);
  receiver.server.listen(0, '127.0.0.1');
  await once(receiver.server, 'listening');
  afterwards(t, () => receiver.close());
  const address = receiver.server.address();
  const url = `https://127.0.0.1:${typeof address === 'object' ? address?.port : 0}/`;
  under.queue.add('{}');
  under.start({ kind: 'http', url, raw: true });
  await under.said.until('its certificate is not accepted');
  assert.equal(await under.stop(), 0);
  assert.deepEqual(await under.left(), ['{}']);
  under.start({ kind: 'http', url, raw: true, ca: join(folder, 'ca') });
  await receiver.until(() => receiver.records.length === 1);
});

test('retryAfter reads seconds and dates, within bounds', () => {
  assert.equal(retryAfter(undefined, 0), 0);
  assert.equal(retryAfter('3', 0), 3_000);
  assert.equal(retryAfter('99999999', 0), 300_000);
  assert.equal(retryAfter('Thu, 01 Jan 1970 00:00:09 GMT', 4_000), 5_000);
  assert.equal(retryAfter('soon', 0), 0);
});
