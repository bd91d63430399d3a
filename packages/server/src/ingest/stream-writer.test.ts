import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { D4Error, newSensorId } from '@d4ts/protocol';
import { pino } from 'pino';
import { linesFormat } from '../formats/lines.ts';
import { ENTRY_FLAG, ENTRY_KIND, type EntryDraft, type StreamDefinition } from '../journal/port.ts';
import { BackPressure } from './back-pressure.ts';
import { type StreamOptions, StreamWriter } from './stream-writer.ts';

const log = pino({ level: 'silent' });
const start = { sensor: newSensorId(), topic: '3', type: 3, metaHeader: undefined };

interface Append {
  readonly stream: StreamDefinition;
  readonly offset: number;
  readonly drafts: readonly EntryDraft[];
  readonly answer: PromiseWithResolvers<void>;
}

/** A topic whose appends the test answers. */
class HeldTopic {
  readonly maxEntryBytes = 16;
  readonly appends: Append[] = [];

  append(stream: StreamDefinition, offset: number, drafts: readonly EntryDraft[]): Promise<void> {
    const answer = Promise.withResolvers<void>();
    this.appends.push({ stream, offset, drafts, answer });
    return answer.promise;
  }

  /** Answers the latest append. */
  async commit(error?: Error): Promise<void> {
    const { answer } = this.appends.at(-1) ?? assert.fail('nothing was appended');
    if (error === undefined) answer.resolve();
    else answer.reject(error);
    await turn();
  }

  text(append: number): string {
    return Buffer.concat(this.appends[append]?.drafts.flatMap(({ pieces }) => pieces) ?? []).toString();
  }
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

function writerOf(topic: HeldTopic, options: Partial<StreamOptions> = {}) {
  const pressure = options.pressure ?? new BackPressure(1_000_000, log, () => undefined);
  const counts = { broken: 0, shared: 0 };
  const writer = new StreamWriter(start, {
    journal: { get: () => topic, open: async () => topic },
    format: linesFormat(),
    pressure,
    log,
    after: undefined,
    continues: () => false,
    share: {
      add(bytes) {
        counts.shared += bytes;
      },
    },
    earlier: undefined,
    onPreamble: () => undefined,
    mayLog: () => false,
    onBroken: () => void counts.broken++,
    ...options,
  });
  const send = (text: string) => {
    writer.push(Buffer.from(text));
    writer.flush();
  };
  return { writer, pressure, send, counts };
}

test('one append at a time; what comes meanwhile gathers', async () => {
  const topic = new HeldTopic();
  const { writer, send, pressure, counts } = writerOf(topic);
  send('a\n');
  send('b\n');
  send('c\nd');
  assert.equal(topic.appends.length, 1);
  assert.ok(writer.pendingBytes > 0);
  assert.deepEqual([pressure.bytes, counts.shared], [writer.pendingBytes, writer.pendingBytes]);
  await topic.commit();
  assert.equal(topic.appends.length, 2);
  assert.equal(topic.text(1), 'b\nc\n');
  assert.deepEqual(
    topic.appends.map(({ offset }) => offset),
    [0, 2],
  );
  await topic.commit();
  assert.deepEqual([writer.pendingBytes, pressure.bytes, counts.shared], [0, 0, 0]);
  assert.equal(writer.end(), true);
  const { drafts, offset } = topic.appends[2] ?? assert.fail();
  assert.deepEqual(
    drafts.map(({ kind, flags, bytes, records }) => [kind, flags, bytes, records]),
    [
      [ENTRY_KIND.data, ENTRY_FLAG.partial, 1, 1],
      [ENTRY_KIND.close, 0, 0, 0],
    ],
  );
  assert.equal(offset, 6);
  await topic.commit();
  await writer.finished;
  assert.equal(writer.records, 4);
});

test('a stream without data leaves nothing', async () => {
  const topic = new HeldTopic();
  const { writer } = writerOf(topic);
  assert.equal(writer.end(), false);
  await writer.finished;
  assert.equal(topic.appends.length, 0);
});

test('what comes before the topic is open, and before earlier streams are finished, waits', async () => {
  const topic = new HeldTopic();
  const opening = Promise.withResolvers<HeldTopic>();
  const after = Promise.withResolvers<void>();
  const { writer, send } = writerOf(topic, {
    journal: { get: () => undefined, open: () => opening.promise },
    after: after.promise,
    continues: () => true,
  });
  send('a\n');
  opening.resolve(topic);
  await turn();
  send('b');
  writer.end();
  assert.equal(topic.appends.length, 0);
  after.resolve();
  await turn();
  assert.deepEqual(
    topic.appends[0]?.drafts.map(({ kind, flags, bytes }) => [kind, flags, bytes]),
    [
      [ENTRY_KIND.data, ENTRY_FLAG.continued, 2],
      [ENTRY_KIND.data, ENTRY_FLAG.partial, 1],
      [ENTRY_KIND.close, 0, 0],
    ],
  );
  await topic.commit();
  await writer.finished;
});

test('while the journal cannot be written, everything is kept, held, and tried again', async (t) => {
  mock.timers.enable({ apis: ['setTimeout'] });
  t.after(() => mock.timers.reset());
  const topic = new HeldTopic();
  const changes: boolean[] = [];
  const pressure: BackPressure = new BackPressure(1_000_000, log, () => changes.push(pressure.holdsAll));
  const { writer, send } = writerOf(topic, { pressure });
  const failure = new D4Error('D4_JOURNAL_FAILED', 'the disk is full');
  send('a\n');
  await topic.commit(failure);
  send('b\n');
  assert.ok(pressure.holdsAll);
  mock.timers.tick(500);
  await turn();
  assert.equal(topic.appends.length, 2);
  await topic.commit(failure);
  mock.timers.tick(999);
  await turn();
  assert.equal(topic.appends.length, 2);
  mock.timers.tick(1);
  await turn();
  await topic.commit();
  assert.deepEqual(changes, [true, false]);
  assert.deepEqual([topic.text(0), topic.text(1), topic.text(2), topic.text(3)], ['a\n', 'a\n', 'a\n', 'b\n']);
  await topic.commit();
  assert.equal(writer.pendingBytes, 0);
});

test('a stream that the journal knows otherwise is broken off', async () => {
  const topic = new HeldTopic();
  const { writer, send, pressure, counts } = writerOf(topic);
  send('a\n');
  send('b\n');
  await topic.commit(new D4Error('D4_JOURNAL_OFFSET', 'another length'));
  await writer.finished;
  assert.deepEqual([counts.broken, pressure.bytes, topic.appends.length], [1, 0, 1]);
  assert.ok(writer.isEnded);
});

test('over the limit of all sessions everything is held until half is left', () => {
  const changes: boolean[] = [];
  const pressure: BackPressure = new BackPressure(100, log, () => changes.push(pressure.holdsAll));
  for (const bytes of [60, 40, 1, -50, -1, 49]) pressure.add(bytes);
  assert.deepEqual(changes, [true, false]);
});
