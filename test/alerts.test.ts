import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, it } from 'node:test';
import { launchServer } from '@d4ts/testkit';
import { addSensor, ask, openStream, until, wire } from './monitored-server.ts';

// Watched sensors that fall silent: the list of the reference, web hook and mail, with real receivers.

interface AlertBody {
  readonly kind: string;
  readonly count: number;
  readonly summary: string;
  readonly sensors: readonly { uuid: string }[];
}

interface AlertList {
  readonly items: readonly (AlertBody & {
    deliveries: readonly { way: string; error: string | null; attempts: number }[];
  })[];
  readonly ways: readonly string[];
  readonly silent: readonly string[];
}

describe('alerts', () => {
  it('sensors that fall silent together are one message, by web hook and by mail; it is not said again', async () => {
    await using hook = await startHook();
    await using post = await startPost();
    const environment = {
      D4_ALERTS_WEBHOOK: hook.url,
      D4_ALERTS_GATHER_SECONDS: '3',
      D4_ALERTS_SMTP_HOST: '127.0.0.1',
      D4_ALERTS_SMTP_PORT: String(post.port),
      D4_ALERTS_SMTP_TLS: 'none',
      D4_ALERTS_SMTP_FROM: 'd4@example.org',
      D4_ALERTS_SMTP_TO: 'operator@example.org, other@example.org',
    };
    await using server = await launchServer({ environment });
    const test = await ask<AlertList['items'][number]>(server, '/alerts/test', {});
    assert.deepEqual(
      test.deliveries.map(({ way, error, attempts }) => [way, error, attempts]),
      [
        ['webhook', null, 1],
        ['mail', null, 1],
      ],
    );
    assert.equal(hook.bodies[0]?.kind, 'test');
    assert.match(post.mails[0] ?? '', /^Subject: \[D4\] This is a test of the alerts$/m);
    assert.deepEqual(post.recipients, ['operator@example.org', 'other@example.org']);

    const quiet = await addSensor(server, { expectedIntervalSeconds: 2, description: 'the one\r\nBcc: x@example.org' });
    const never = await addSensor(server, { expectedIntervalSeconds: 2 });
    const watched = await addSensor(server, { expectedIntervalSeconds: 3_600 });
    const unwatched = await addSensor(server);
    const sensor = await wire(server, quiet);
    sensor.send('still here\n');
    await until(async () => (await silentOf(server)).length === 2, 'two are silent');
    assert.deepEqual((await silentOf(server)).toSorted(), [quiet, never].toSorted());
    await until(() => hook.bodies.length === 2 && post.mails.length === 2, 'they are reported');
    const [, alert] = hook.bodies;
    assert.deepEqual([alert?.kind, alert?.count], ['silent', 2]);
    assert.deepEqual(alert?.sensors.map(({ uuid }) => uuid).toSorted(), [quiet, never].toSorted());
    assert.match(post.mails[1] ?? '', /^Subject: \[D4\] 2 sensors are silent$/m);
    assert.doesNotMatch(post.mails[1] ?? '', /^Bcc:/m);
    for (const other of [watched, unwatched]) assert.ok(!(post.mails[1] ?? '').includes(other));

    // Heard again: off the list at once, but a message only when it lasts.
    sensor.send('here\n');
    await until(async () => (await silentOf(server)).length === 1, 'one is silent');
    await until(async () => (await silentOf(server)).length === 2, 'it is silent again');
    const { items, ways, silent } = await ask<AlertList>(server, '/alerts');
    assert.deepEqual(
      items.map(({ kind }) => kind),
      ['silent', 'test'],
    );
    assert.deepEqual(ways, ['webhook', 'mail']);
    assert.equal(silent.length, 2);
    assert.equal(hook.bodies.length, 2);
    await sensor.end();
    assert.equal((await server.stop()).code, 0);
    await using again = await launchServer({ home: server.home, environment });
    assert.deepEqual((await ask<AlertList>(again, '/alerts')).items, items);
  });

  it('damage is told once', async () => {
    await using hook = await startHook();
    await using server = await launchServer({ environment: { D4_ALERTS_WEBHOOK: hook.url } });
    mkdirSync(join(server.home, 'damaged'), { recursive: true });
    writeFileSync(join(server.home, 'damaged', 'ledger.sqlite'), 'not a database');
    await until(() => hook.bodies.length === 1, 'it is told');
    const [alert] = hook.bodies;
    assert.deepEqual([alert?.kind, alert?.count, alert?.sensors], ['damaged', 1, []]);
    const { items } = await ask<AlertList>(server, '/alerts');
    assert.match(items[0]?.summary ?? '', /1 damaged files were set aside .*ledger\.sqlite/);
    assert.equal((await server.stop()).code, 0);
    await using again = await launchServer({ home: server.home, environment: { D4_ALERTS_WEBHOOK: hook.url } });
    await ask(again, '/alerts/test', {});
    assert.deepEqual(
      hook.bodies.map(({ kind }) => kind),
      ['damaged', 'test'],
    );
  });

  it('what does not arrive is said', async () => {
    await using hook = await startHook(500);
    await using server = await launchServer({ environment: { D4_ALERTS_WEBHOOK: hook.url, D4_METRICS_OPEN: 'true' } });
    assert.equal((await openStream(server, '/metrics', { token: '' })).statusCode, 200, 'this machine needs no token');
    assert.equal((await openStream(server, '/api/v1/metrics', { token: '' })).statusCode, 401);
    const { deliveries } = await ask<AlertList['items'][number]>(server, '/alerts/test', {});
    assert.deepEqual(deliveries, [{ way: 'webhook', error: 'answered 500', attempts: 1 }]);
    await hook[Symbol.asyncDispose]();
    const unreached = await ask<AlertList['items'][number]>(server, '/alerts/test', {});
    assert.match(unreached.deliveries[0]?.error ?? '', /not reached/);
    const { items, ways } = await ask<AlertList>(server, '/alerts');
    assert.deepEqual([items.length, ways], [2, ['webhook']]);
    assert.match(server.log(), /an alert did not arrive/);
  });
});

function silentOf(server: Parameters<typeof ask>[0]): Promise<string[]> {
  return ask<string[]>(server, '/sensors/monitoring/errors');
}

/** A receiver of web hooks. */
async function startHook(status = 204) {
  const bodies: AlertBody[] = [];
  const hook = createHttpServer(async (request, response) => {
    bodies.push(JSON.parse(await text(request)));
    response.writeHead(status).end();
  });
  await once(hook.listen(0, '127.0.0.1'), 'listening');
  return {
    url: `http://127.0.0.1:${(hook.address() as AddressInfo).port}/hook`,
    bodies,
    async [Symbol.asyncDispose]() {
      if (!hook.listening) return;
      hook.closeAllConnections();
      hook.close();
      await once(hook, 'close');
    },
  };
}

/** A mail server that takes everything (RFC 5321). */
async function startPost() {
  const mails: string[] = [];
  const recipients: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    let mail: string[] | undefined;
    let rest = '';
    const say = (line: string): void => void socket.write(`${line}\r\n`);
    say('220 test ESMTP');
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\r\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        if (mail !== undefined && line !== '.') mail.push(line);
        else if (mail !== undefined) {
          mails.push(mail.join('\n'));
          mail = undefined;
          say('250 taken');
        } else if (/^DATA/i.test(line)) {
          mail = [];
          say('354 go on');
        } else if (/^QUIT/i.test(line)) {
          socket.end('221 bye\r\n');
        } else {
          const to = /^RCPT TO:<(.*)>/i.exec(line)?.[1];
          if (to !== undefined && !recipients.includes(to)) recipients.push(to);
          say('250 ok');
        }
      }
    });
    socket.on('error', () => {});
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    mails,
    recipients,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
