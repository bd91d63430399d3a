import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { test } from 'node:test';
import fc from 'fast-check';
import { DeliveryOrder } from './delivery-order.ts';
import { lines, octetCounted, runsOf } from './framing.ts';
import { forwardedBy, UNKNOWN_ORIGIN } from './hops.ts';
import { SyslogMessages } from './syslog-message.ts';
import { sendQueueIn, unacknowledgedBytes } from './unacknowledged.ts';

const buffers = (...texts: string[]): Buffer[] => texts.map((text) => Buffer.from(text));

test('lines and octet counting', () => {
  assert.equal(lines(buffers('a', '', 'ü')).toString(), 'a\n\nü\n');
  assert.equal(octetCounted(buffers('a', 'ü b')).toString(), '1 a4 ü b');
});

test('runs keep the records and their order, within the bound but for single records', () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 50 })), fc.integer({ min: 1, max: 100 }), (lengths, bound) => {
      const records = lengths.map((length) => Buffer.alloc(length));
      const runs = [...runsOf(records, bound)];
      assert.deepEqual(runs.flat(), records);
      for (const run of runs) {
        assert.ok(run.length === 1 || run.reduce((sum, { length }) => sum + length, 0) <= bound);
      }
    }),
  );
});

test('deliveries in any order count as soon as all before them are done', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(), { maxLength: 3_000 }), (keys) => {
      const order = new DeliveryOrder();
      const tickets = keys.map((key) => ({ key, ticket: order.add() })).toSorted((a, b) => a.key - b.key);
      const done = new Set<number>();
      let counted = 0;
      for (const { ticket } of tickets) {
        done.add(ticket);
        counted += order.done(ticket);
        assert.ok(!done.has(counted) && (counted === 0 || done.has(counted - 1)));
      }
      assert.deepEqual([counted, order.outstanding], [keys.length, 0]);
    }),
    { numRuns: 30 },
  );
});

test('syslog messages of both forms', () => {
  const time = new Date(2026, 9, 4, 5, 6, 7, 89);
  const header = { level: 'info', facility: 'user', host: 'a host', type: 'maltrail' } as const;
  const text = (form: ConstructorParameters<typeof SyslogMessages>[0]): string =>
    new SyslogMessages(form).message(Buffer.from('record'), time.getTime()).toString();
  assert.equal(text({ ...header, rfc3164: false }), `<14>1 ${time.toISOString()} ahost d4 - maltrail - record`);
  assert.equal(text({ ...header, rfc3164: true }), '<14>Oct  4 05:06:07 ahost d4-maltrail: record');
  const other = { ...header, level: 'critical', facility: 'local7', host: undefined } as const;
  assert.equal(text({ ...other, rfc3164: true }), '<186>Oct  4 05:06:07 d4-maltrail: record');
});

test('the servers that a stream has passed', () => {
  assert.deepEqual(forwardedBy(undefined), []);
  assert.deepEqual(forwardedBy('{"type":"maltrail"}'), []);
  assert.deepEqual(forwardedBy('{"type":"3","d4-forwarded-by":["a","b"]}'), ['a', 'b']);
  assert.deepEqual(forwardedBy('{"type":"3","d4-forwarded-by":"a"}'), [UNKNOWN_ORIGIN]);
});

test('what a receiver has not acknowledged is read from the system', async (t) => {
  const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1
   1: 0100007F:BC42 0100007F:1F90 01 0000002A:00000000 00:00000000 00000000     0        0 2
   2: 0100007F:1F90 0100007F:BC42 01 00000000:00000007 00:00000000 00000000     0        0 3`;
  assert.equal(sendQueueIn(table, 0xbc42, 0x1f90), 42);
  assert.equal(sendQueueIn(table, 0x1f90, 0xbc42), 0);
  assert.equal(sendQueueIn(table, 1, 2), undefined);
  if (process.platform !== 'linux') return;
  const server = createServer({ pauseOnConnect: true }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const socket = connect(typeof address === 'object' ? (address?.port ?? 0) : 0, '127.0.0.1');
  const [[accepted]] = await Promise.all([once(server, 'connection'), once(socket, 'connect')]);
  t.after(() => {
    socket.destroy();
    accepted.destroy();
    server.close();
  });
  assert.equal(unacknowledgedBytes(socket), 0);
  // More than both machines' buffers take from somebody who does not read.
  socket.write(Buffer.alloc(64 * 1024 * 1024));
  assert.ok((unacknowledgedBytes(socket) ?? 0) > 0);
});
