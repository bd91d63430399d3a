import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { newSensorId, runningCrc, WIRE_TYPE } from '@d4ts/protocol';
import fc from 'fast-check';
import { WireView } from '../acknowledged/wire-view.ts';
import { boundariesOf } from '../record-boundaries.ts';
import { Backlog, type BacklogOptions } from './backlog.ts';
import { inspectSpool } from './inspect.ts';
import { repairSpool } from './repair.ts';
import { Spool } from './spool.ts';
import type { StreamIdentity } from './stream-identity.ts';

const root = mkdtempSync(join(tmpdir(), 'd4-backlog-'));
after(() => rmSync(root, { recursive: true }));

const IDENTITY: StreamIdentity = {
  id: '00112233445566778899aabbccddeeff',
  sensor: newSensorId(),
  type: WIRE_TYPE.lines,
  source: 'a test',
  startedAt: 0,
};

function directory(): string {
  return mkdtempSync(join(root, 'conf-'));
}

function options(changes: Partial<BacklogOptions> = {}): BacklogOptions {
  return {
    memoryBytes: 300_000,
    behindMs: 5,
    syncMs: 5,
    retryMs: 5,
    whenFull: 'wait',
    always: false,
    sourceKeeps: false,
    onTrouble: () => {},
    onLoss: () => {},
    ...changes,
  };
}

function begin(spool: Spool | undefined, changes: Partial<BacklogOptions> = {}): Backlog {
  return Backlog.begin(IDENTITY, boundariesOf(WIRE_TYPE.lines), options(changes), spool);
}

/** Reads a backlog to its end. A gap is as many `?` as it has bytes. */
async function readAll(backlog: Backlog, from = backlog.acknowledged): Promise<string> {
  let text = '';
  for (let at = from; ; ) {
    const piece = await backlog.read(at, 50_000);
    if (piece === undefined) return text;
    const bytes = piece.kind === 'data' ? piece.bytes : Buffer.alloc(piece.to - at, '?');
    text += bytes.toString('latin1');
    at += bytes.length;
  }
}

function lines(count: number): string {
  return Array.from({ length: count }, (_, i) => `${i} ${'x'.repeat((i * 37) % 200)}\n`).join('');
}

test('while all is well nothing is on disk', async () => {
  const conf = directory();
  const spool = Spool.hold(conf, 10_000_000);
  const backlog = begin(spool);
  await backlog.append(Buffer.from(lines(1000)));
  assert.equal(await readAll(backlog), lines(1000));
  backlog.acknowledge(lines(1000).length);
  backlog.finish(true);
  assert.deepEqual(readdirSync(join(conf, 'spool')).sort(), ['lock', 'lock.pid']);
  await backlog.remove();
  spool.release();
  assert.deepEqual(readdirSync(conf), []);
});

test('folders and files are for their owner alone', async () => {
  const conf = directory();
  const spool = Spool.hold(conf, 10_000_000);
  const backlog = begin(spool);
  await backlog.append(Buffer.from(lines(1000)));
  backlog.finish(true);
  assert.equal(await backlog.close(), 0);
  spool.release();
  const folder = join(conf, 'spool');
  assert.equal(statSync(folder).mode & 0o777, 0o700);
  const [stream] = readdirSync(folder).filter((name) => name.startsWith('0'));
  assert.equal(statSync(join(folder, stream ?? '')).mode & 0o777, 0o700);
  for (const name of readdirSync(join(folder, stream ?? ''))) {
    assert.equal(statSync(join(folder, stream ?? '', name)).mode & 0o777, 0o600);
  }
});

test('whatever is appended, acknowledged, spooled and started anew: every byte, in order, with its CRC', async () => {
  const actions = fc.array(
    fc.oneof(
      fc.record({ do: fc.constant('append' as const), bytes: fc.integer({ min: 1, max: 150_000 }) }),
      fc.record({ do: fc.constant('acknowledge' as const), share: fc.double({ min: 0, max: 1, noNaN: true }) }),
      fc.record({ do: fc.constantFrom('outage' as const, 'connected' as const, 'restart' as const) }),
    ),
    { maxLength: 25 },
  );
  const source = lines(40_000);
  await fc.assert(
    fc.asyncProperty(actions, fc.boolean(), async (steps, always) => {
      const conf = directory();
      let spool = Spool.hold(conf, 50_000_000);
      let backlog = begin(spool, { always });
      let all = '';
      for (const step of steps) {
        if (step.do === 'append' && backlog.end === undefined) {
          const text = source.slice(all.length, all.length + step.bytes);
          all += text;
          await backlog.append(Buffer.from(text));
        } else if (step.do === 'acknowledge') {
          const { acknowledged, available } = backlog;
          backlog.acknowledge(acknowledged + Math.floor((available - acknowledged) * step.share));
        } else if (step.do === 'outage') backlog.outage();
        else if (step.do === 'connected') backlog.connected();
        else if (step.do === 'restart') {
          if (backlog.end === undefined) backlog.finish(false);
          const { acknowledged } = backlog;
          assert.equal(await backlog.close(), 0);
          spool.release();
          spool = Spool.hold(conf, 50_000_000);
          const [left] = await spool.leftStreams((text) => assert.fail(text));
          if (left === undefined) {
            assert.equal(acknowledged, all.length);
            break;
          }
          backlog = Backlog.left(left, options(), spool);
          assert.equal(backlog.acknowledged, acknowledged);
        }
        const from = backlog.acknowledged;
        assert.equal(await readAll(backlog), all.slice(from, backlog.available));
        assert.equal(await backlog.crcAt(from), runningCrc(0, Buffer.from(all.slice(0, from))));
        const middle = Math.floor((from + backlog.available) / 2);
        assert.equal(await backlog.crcAt(middle), runningCrc(0, Buffer.from(all.slice(0, middle))));
      }
      await backlog.remove();
      spool.release();
      assert.deepEqual(readdirSync(conf), []);
    }),
    { numRuns: 30 },
  );
});

test('a spool damaged anywhere: never throws, tells, and loses no more than what was hit', async () => {
  const conf = directory();
  const text = lines(5000);
  const spool = Spool.hold(conf, 50_000_000);
  const backlog = begin(spool, { memoryBytes: 10_000_000 });
  await backlog.append(Buffer.from(text));
  backlog.finish(true);
  assert.equal(await backlog.close(), 0);
  spool.release();
  const stream = join(conf, 'spool', readdirSync(join(conf, 'spool')).find((name) => name.startsWith('0')) ?? '');
  const whole = new Map(readdirSync(stream).map((name) => [join(stream, name), readFileSync(join(stream, name))]));
  const damage = fc.record({
    file: fc.nat(whole.size - 1),
    at: fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
    how: fc.constantFrom('flip', 'cut', 'zero', 'remove'),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(damage, { maxLength: 4 }), fc.boolean(), async (hits, mends) => {
      rmSync(stream, { recursive: true, force: true });
      mkdirSync(stream, { recursive: true });
      for (const [path, bytes] of whole) writeFileSync(path, bytes);
      let hitBytes = 0;
      for (const { file, at, how } of hits) {
        const path = [...whole.keys()][file] as string;
        const bytes = readFileSync(path, { flag: 'a+' });
        const place = Math.floor(at * bytes.length);
        hitBytes += how === 'flip' ? 70_000 : how === 'zero' ? 140_000 : bytes.length - place + 70_000;
        if (how === 'flip' && bytes.length > 0) bytes.writeUInt8(bytes.readUInt8(place) ^ 0x10, place);
        if (how === 'zero') bytes.fill(0, place, Math.min(place + 70_000, bytes.length));
        if (how !== 'remove') writeFileSync(path, how === 'cut' ? bytes.subarray(0, place) : bytes);
        else if (path.endsWith('.json')) rmSync(path);
      }
      if (mends) {
        const { report } = await repairSpool(conf);
        assert.deepEqual(report.damage, []);
      }
      const { damage: found } = await inspectSpool(conf);
      const again = Spool.hold(conf, 50_000_000);
      const said: string[] = [];
      const [left] = await again.leftStreams((text) => said.push(text));
      if (left === undefined) {
        // Nothing says any more what stream it is: only where the record and the segment's header are hit.
        assert.ok(hits.length >= 2 && (mends || found.length > 0));
      } else {
        const rest = Backlog.left(left, options({ onLoss: (text) => said.push(text) }), again);
        const read = await readAll(rest);
        let lost = text.length - read.length;
        for (let i = 0; i < read.length; i++) {
          if (read[i] === '?') lost++;
          else if (read[i] !== text[i]) assert.fail(`another byte at ${i}`);
        }
        assert.ok(lost <= hitBytes, `${lost} bytes are lost, ${hitBytes} were hit`);
        if (lost > 0 && !mends) assert.ok(said.length > 0);
      }
      again.release();
      for (const name of existsSync(join(conf, 'spool')) ? readdirSync(join(conf, 'spool')) : []) {
        if (name.startsWith('unreadable')) rmSync(join(conf, 'spool', name), { recursive: true });
      }
    }),
    { numRuns: Number(process.env.D4_TEST_FLIPS ?? 60) },
  );
});

test('a spool that cannot be written: said, the source waits, and goes on when there is room', async () => {
  const conf = directory();
  const spool = Spool.hold(conf, 10_000_000);
  const folder = join(conf, 'spool');
  // As root writes anywhere, a file stands where the stream's folder is to be.
  writeFileSync(join(folder, `00000001-${IDENTITY.id}`), '');
  chmodSync(folder, 0o700);
  const said: string[] = [];
  const backlog = begin(spool, { memoryBytes: 100_000, onTrouble: (text) => said.push(text) });
  backlog.outage();
  const appended = backlog.append(Buffer.from(lines(2000)));
  while (said.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  assert.match(said[0] ?? '', /the spool cannot be written/);
  rmSync(join(folder, `00000001-${IDENTITY.id}`));
  await appended;
  backlog.finish(true);
  assert.equal(await readAll(backlog), lines(2000));
  assert.equal(await backlog.close(), 0);
  spool.release();
});

test('without a spool the oldest is dropped from memory where that is wanted, whole records', async () => {
  const text = lines(10_000);
  const backlog = begin(undefined, { memoryBytes: 200_000, whenFull: 'drop-oldest' });
  for (let at = 0; at < text.length; at += 10_000) await backlog.append(Buffer.from(text.slice(at, at + 10_000)));
  backlog.finish(true);
  const read = await readAll(backlog);
  const gap = read.lastIndexOf('?') + 1;
  assert.ok(gap > 0 && backlog.dropped >= gap);
  assert.equal(read.slice(gap), text.slice(gap));
  assert.equal(text[gap - 1], '\n');
});

test('what was sent is dropped last: wherever the server goes on within it, the CRC is known', async () => {
  const conf = directory();
  const spool = Spool.hold(conf, 1_000_000);
  const backlog = begin(spool, { memoryBytes: 200_000, whenFull: 'drop-oldest' });
  const text = lines(20_000);
  const sent = text.indexOf('\n', 60_000) + 1;
  const acknowledged = text.indexOf('\n', 20_000) + 1;
  await backlog.append(Buffer.from(text.slice(0, sent)));
  assert.equal((await readAll(backlog)).length, sent);
  backlog.acknowledge(acknowledged);
  backlog.outage();
  for (let at = sent; at < text.length; at += 10_000) await backlog.append(Buffer.from(text.slice(at, at + 10_000)));
  assert.ok(backlog.dropped > 0);
  for (const offset of [acknowledged, text.indexOf('\n', 40_000) + 1, sent]) {
    assert.equal(await backlog.crcAt(offset), runningCrc(0, Buffer.from(text.slice(0, offset))), `at ${offset}`);
  }
  backlog.finish(true);
  const read = await readAll(backlog);
  assert.ok([...read].every((byte, at) => byte === '?' || byte === text[acknowledged + at]));
  assert.ok(read.startsWith(text.slice(acknowledged, sent)) && read.includes('?'));
  await backlog.close();
  spool.release();
});

test('where all that is kept was sent, it is dropped too, and the CRC of what is acknowledged stays known', async () => {
  const conf = directory();
  const spool = Spool.hold(conf, 1_000_000);
  const backlog = begin(spool, { memoryBytes: 200_000, whenFull: 'drop-oldest' });
  const text = lines(20_000);
  backlog.outage();
  const acknowledged = text.indexOf('\n', 5_000) + 1;
  for (let at = 0; at < text.length; at += 10_000) {
    await backlog.append(Buffer.from(text.slice(at, at + 10_000)));
    await readAll(backlog, at);
    if (at === 10_000) backlog.acknowledge(acknowledged);
  }
  assert.ok(backlog.dropped > 0);
  assert.equal(await backlog.crcAt(acknowledged), runningCrc(0, Buffer.from(text.slice(0, acknowledged))));
  await backlog.reborn({ id: 'f'.repeat(32), previous: IDENTITY.id, base: { offset: acknowledged + 1, crc: 0 } });
  assert.equal(
    await new WireView(backlog).crcAt(0),
    0,
    'a stream that begins where nothing is known begins all the same',
  );
  await backlog.close();
  spool.release();
});

test('two processes: a spool is held by one', () => {
  const conf = directory();
  const spool = Spool.hold(conf, 1_000_000);
  assert.throws(() => Spool.hold(conf, 1_000_000), {
    code: 'D4_SPOOL_HELD',
    message: new RegExp(`pid ${process.pid}`),
  });
  spool.release();
  Spool.hold(conf, 1_000_000).release();
  assert.deepEqual(readdirSync(conf), []);
});
