import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { newSensorId, type SensorId } from '@d4ts/protocol';
import { launchServer } from '@d4ts/testkit';
import { Redis } from 'ioredis';
import { pino } from 'pino';
import { openFileJournal } from '../packages/server/src/journal/files.ts';
import { ENTRY_KIND, type EntryDraft, type StreamDefinition } from '../packages/server/src/journal/port.ts';
import { Api } from './api.ts';
import type { Figure } from './report.ts';

const SENSORS = 2_000;
const RECORDS = 10_000_000;
/** Records of the rare sensor, spread over all of the topic. */
const RARE_RECORDS = 1_000;
const LINE_BYTES = 40;
/** Records of a sensor in one entry, and how often each of them has sent one. */
const RECORDS_PER_ENTRY = 100;
const ROUNDS = RECORDS / SENSORS / RECORDS_PER_ENTRY;
const CLOSE: EntryDraft = { kind: ENTRY_KIND.close, flags: 0, pieces: [], bytes: 0, records: 0 };

function draftOf(records: number): EntryDraft {
  const bytes = Buffer.alloc(records * LINE_BYTES, `${'x'.repeat(LINE_BYTES - 1)}\n`);
  return { kind: ENTRY_KIND.data, flags: 0, pieces: [bytes], bytes: bytes.length, records };
}

/** Writes the topic straight into a home's journal. @returns its length in bytes */
async function fillJournal(home: string, sensors: readonly SensorId[], rare: SensorId): Promise<number> {
  const journal = await openFileJournal({
    root: join(home, 'journal'),
    policy: 'os',
    log: pino({ level: 'silent' }),
  });
  const topic = await journal.open('3');
  const draftOfMany = draftOf(RECORDS_PER_ENTRY);
  const draftOfRare = draftOf(RARE_RECORDS / ROUNDS);
  const streams = [rare, ...sensors].map(
    (sensor): StreamDefinition => ({
      id: randomBytes(16).toString('hex'),
      sensor,
      topic: '3',
      type: 3,
      preamble: Buffer.alloc(0),
    }),
  );
  for (let round = 0; round < ROUNDS; round++) {
    await Promise.all(
      streams.map((stream) => {
        const draft = stream.sensor === rare ? draftOfRare : draftOfMany;
        return topic.append(stream, round * draft.bytes, round === ROUNDS - 1 ? [draft, CLOSE] : [draft]);
      }),
    );
  }
  const { bytes } = topic.stats();
  await journal.close();
  return bytes;
}

/** Bytes that a process has read so far, from files and sockets, whether they were in memory or on disk. */
function bytesRead(pid: number): number {
  return Number(/^rchar: (\d+)/m.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))?.[1]);
}

/** The queue of one sensor's group among very many records of others: nothing is scanned to open it, count it, or read it. */
export async function rareSensorFigures(): Promise<Figure[]> {
  const home = mkdtempSync(join(tmpdir(), 'd4-bench-'));
  const rare = newSensorId();
  const sensors = Array.from({ length: SENSORS }, () => newSensorId());
  const topicMegabytes = (await fillJournal(home, sensors, rare)) / 1e6;
  const server = await launchServer({ home, environment: { D4_ARCHIVE_PAUSED: 'true' } });
  using api = new Api(server);
  const client = new Redis(`redis://${server.info.redis}/2`);
  const name = `a sensor's ${RARE_RECORDS} of ${RECORDS / 1e6} million records of ${SENSORS} sensors`;
  const figures: Figure[] = [];
  let read = 0;
  const measure = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
    const [began, before] = [performance.now(), bytesRead(server.pid)];
    const found = await work();
    const milliseconds = performance.now() - began;
    read += bytesRead(server.pid) - before;
    figures.push({ name: `${name}: ${what}`, value: milliseconds, unit: 'ms' });
    return found;
  };
  try {
    const queue = await measure('opening a queue of them', async () => {
      const made = await api.call('POST', '/queues', { type: '3', group: [rare], from: 0 });
      return `analyzer:3:${(made as { uuid: string }).uuid}`;
    });
    const length = await measure('its length', () => client.llen(queue));
    if (length !== RARE_RECORDS) throw new Error(`the queue has ${length} items`);
    await measure('looking at the oldest 100', () => client.lrange(queue, -100, -1));
    await measure('popping all, 100 at a time', async () => {
      for (let items = 0; items < RARE_RECORDS; ) items += (await client.rpop(queue, 100))?.length ?? 0;
    });
    const references = { 'the topic': topicMegabytes };
    return [...figures, { name: `${name}: read for all this`, value: read / 1e6, unit: 'MB', references }];
  } finally {
    client.disconnect();
    await server.dispose();
    rmSync(home, { recursive: true, force: true });
  }
}
