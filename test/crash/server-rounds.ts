import assert from 'node:assert/strict';
import { join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import { FrameEncoder, newSensorId, type SensorId } from '@d4ts/protocol';
import { openFileJournal } from '@d4ts/server/journal';
import { launchServer, runD4, type ServerProcess } from '@d4ts/testkit';
import { Redis } from 'ioredis';
import pino from 'pino';

const KEY = 'a key';
/** Cursors are saved at most this long after a change (docs/journal.md, rule 25). */
const CURSOR_WINDOW_MS = 200;

/** What is done to a server again and again. */
export interface Rounds {
  readonly count: number;
  /** Where the server's home is to be. */
  readonly home: string;
  /** Ends the server in the harshest way; when it resolves, `home` can be used again. */
  crash(server: ServerProcess): Promise<void>;
}

/**
 * A sensor that sends numbered lines, five for each frame and the last one in two halves, until its connection ends: as
 * fast as it can, or gently, so that consumers are up to date and see what is not a moment old.
 */
function startSensor(
  sensor: SensorId,
  port: number,
  session: number,
  gently: boolean,
): { ended: Promise<void>; sent: () => number; socket: TLSSocket } {
  const encoder = new FrameEncoder({ sensor, key: Buffer.from(KEY), version: 1 });
  const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false });
  let number = 0;
  let rest = '';
  const send = (): void => {
    while (!socket.destroyed) {
      let text = rest;
      for (let i = 0; i < 5; i++) text += `${sensor} ${session} ${number++}\n`;
      rest = text.slice(-10);
      const payload = Buffer.from(text.slice(0, -10));
      const taken = socket.write(encoder.encode(3, payload, Math.floor(Date.now() / 1000)));
      if (gently) setTimeout(send, 2);
      if (gently || !taken) return;
    }
  };
  socket
    .on('secureConnect', send)
    .on('drain', gently ? () => {} : send)
    .on('data', () => {})
    .on('error', () => {});
  const ended = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  return { ended, sent: () => number, socket };
}

/** Pops until the server dies; gives what came, with its time, what else it saw, and says when the first came. */
async function consume(
  address: string,
  key: string,
  popped: { line: string; at: number }[],
  visible: Set<string>,
  first: () => void,
): Promise<void> {
  const redis = new Redis(`redis://${address}/2`, { retryStrategy: () => null, maxRetriesPerRequest: 0 });
  redis.on('error', () => {});
  try {
    for (;;) {
      const next = await redis.brpop(key, 0);
      popped.push({ line: next?.[1] ?? '', at: performance.now() });
      first();
      const more = (await redis.rpop(key, 50)) ?? [];
      const at = performance.now();
      for (const line of more) popped.push({ line, at });
      for (const line of await redis.lrange(key, 0, 49)) visible.add(line);
    }
  } catch {
    redis.disconnect();
  } finally {
    first();
  }
}

/**
 * Crashes a server in mid-stream, again and again on the same home, while sensors send and a consumer pops. Afterwards
 * the journal is sound, nothing is doubled, and what was popped was kept.
 * @throws AssertionError
 */
export async function crashServer({ count, home, crash }: Rounds): Promise<void> {
  let server = await launchServer({ home });
  const sensors = [newSensorId(), newSensorId()];
  for (const uuid of sensors) {
    const added = await runD4(['sensor', 'add', '--home', home, '--uuid', uuid, '--key', KEY, '--approve']);
    assert.equal(added.code, 0, added.stderr);
  }
  const queue = (await runD4(['queue', 'add', '3', '--home', home])).stdout.trim();
  const key = `analyzer:3:${queue}`;
  const seen = new Map<string, number>();
  const visible = new Set<string>();
  let random = 12345;

  for (let round = 0; round < count; round++) {
    const port = Number(server.info.listen.split(':').at(-1));
    const running = sensors.map((sensor) => startSensor(sensor, port, round, round % 2 === 0));
    const popped: { line: string; at: number }[] = [];
    const flowing = Promise.withResolvers<void>();
    const consumer = consume(server.info.redis, key, popped, visible, flowing.resolve);
    // One crash in four may come before anything has arrived.
    if (round % 4 !== 3) await flowing.promise;
    random = (random * 1103515245 + 12345) % 2 ** 31;
    const delay = 30 + (random % 600);
    await new Promise((resolve) => setTimeout(resolve, delay));
    const killedAt = performance.now();
    await crash(server);
    await Promise.all([...running.map((one) => one.ended), consumer]);
    for (const { line, at } of popped) {
      const before = seen.get(line);
      const again = before !== undefined && before !== Number.POSITIVE_INFINITY;
      assert.ok(before === undefined || again, `"${line}" was popped long before the kill, and came again`);
      seen.set(line, at < killedAt - CURSOR_WINDOW_MS ? Number.POSITIVE_INFINITY : at);
    }
    server = await launchServer({ home });
  }

  const drain = new Redis(`redis://${server.info.redis}/2`);
  for (;;) {
    const lines = (await drain.rpop(key, 1000)) ?? [];
    for (const line of lines) {
      assert.notEqual(seen.get(line), Number.POSITIVE_INFINITY, `"${line}" came again`);
      if (!seen.has(line)) seen.set(line, 0);
    }
    if (lines.length === 0) break;
  }
  assert.equal(await drain.llen(key), 0);
  drain.disconnect();
  assert.equal((await server.stop()).code, 0);

  for (const line of visible) assert.ok(seen.has(line), `"${line}" was shown to a consumer, and then lost`);
  await checkJournal(home, sensors, seen, count * 5);
}

/** Each session's bytes are what was sent from its start on, once; and every whole line was popped. */
async function checkJournal(
  home: string,
  sensors: readonly SensorId[],
  seen: ReadonlyMap<string, number>,
  fewestLines: number,
): Promise<void> {
  const journal = await openFileJournal({ root: join(home, 'journal'), policy: 'os', log: pino({ level: 'silent' }) });
  try {
    const topic = await journal.open('3');
    const streams = new Map<string, { sensor: SensorId; pieces: Buffer[]; length: number; closes: number }>();
    for (let sequence = topic.firstSequence; sequence < topic.endSequence; ) {
      const entries = await topic.read(sequence, 1024 * 1024);
      assert.ok(entries.length > 0);
      for (const entry of entries) {
        sequence = entry.sequence + 1;
        const { id, sensor } = entry.stream;
        const stream = streams.get(id) ?? { sensor, pieces: [], length: 0, closes: 0 };
        streams.set(id, stream);
        if (entry.kind === 4) stream.closes += 1;
        if (entry.kind !== 2) continue;
        assert.equal(entry.offset, stream.length);
        stream.pieces.push(Buffer.from(entry.bytes));
        stream.length += entry.bytes.length;
      }
    }
    assert.equal(topic.stats().gaps, 0);
    const sessions = new Set<string>();
    let lines = 0;
    for (const { sensor, pieces, closes } of streams.values()) {
      assert.equal(closes, 1, 'every stream is closed, once');
      assert.ok(sensors.includes(sensor));
      const text = Buffer.concat(pieces).toString();
      const session = text.split(' ')[1] ?? '';
      assert.ok(!sessions.has(`${sensor} ${session}`), 'one stream for each session');
      sessions.add(`${sensor} ${session}`);
      for (const [number, line] of text.split('\n').slice(0, -1).entries()) {
        assert.equal(line, `${sensor} ${session} ${number}`);
        assert.ok(seen.has(line), `"${line}" is in the journal but was never popped`);
        lines += 1;
      }
    }
    assert.equal(lines, seen.size, 'nothing was popped that is not in the journal');
    assert.ok(lines > fewestLines, `only ${lines} lines came through`);
  } finally {
    await journal.close();
  }
}
