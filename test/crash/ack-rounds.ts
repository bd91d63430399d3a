import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { newSensorId, PREVIOUS_CAUSE, runningCrc, type SensorId } from '@d4ts/protocol';
import { openFileJournal } from '@d4ts/server/journal';
import { AckClient, launchServer, runD4, type ServerProcess } from '@d4ts/testkit';
import pino from 'pino';
import type { Rounds } from './server-rounds.ts';
import { captureHeader, packetRecord } from './sources.ts';

const KEY = 'a key of its own';
const DATA_BYTES = 100_000;

/** A source that never ends: each of its records is made from its number. */
interface Source {
  readonly type: number;
  record(number: number): Buffer;
}

/** Lines, some of which are longer than an entry of the journal may be, and so are there in fragments. */
const LINES: Source = {
  type: 3,
  record: (number) => Buffer.from(`${number} ${'x'.repeat(number % 50 === 49 ? 600_000 : number % 700)}\n`),
};

/** A capture: its header counts as its first record. */
const CAPTURE: Source = {
  type: 1,
  record: (number) => (number === 0 ? captureHeader() : packetRecord(number)),
};

/** A sensor that keeps what is not acknowledged, and goes on from there on the next connection. */
class AckSensor {
  readonly sensor: SensorId = newSensorId();
  readonly stream = randomBytes(16).toString('hex');
  readonly #source: Source;
  /** The stream from `#from` on; the CRC-32 is of what was before. */
  #kept: Buffer = Buffer.alloc(0);
  #from = 0;
  #crc = 0;
  #records = 0;

  constructor(source: Source) {
    this.#source = source;
  }

  /** Up to where it was acknowledged. */
  get acknowledgedTo(): number {
    return this.#from;
  }

  /** Everything that it ever made. */
  get whole(): Buffer {
    return Buffer.concat(Array.from({ length: this.#records }, (_, number) => this.#source.record(number)));
  }

  /** Sends until the connection ends, for whatever reason. */
  async run(port: number): Promise<void> {
    const client = await this.#open(port).catch(() => undefined);
    if (client === undefined) return;
    let sent = client.accepted?.offset ?? 0;
    while (!client.closed) {
      this.#take(client.acknowledgedTo);
      while (this.#end - sent < DATA_BYTES) this.#make();
      const bytes = this.#kept.subarray(sent - this.#from, sent - this.#from + DATA_BYTES);
      client.data(sent, bytes);
      sent += bytes.length;
      // So much may be on its way.
      await client.until(() => sent - client.acknowledgedTo < 20 * DATA_BYTES && !client.socket.writableNeedDrain);
      await new Promise((resolve) => setImmediate(resolve));
    }
    this.#take(client.acknowledgedTo);
    client.destroy();
  }

  /** Sends what is left, and ends the stream. */
  async finish(port: number): Promise<void> {
    const client = await this.#open(port);
    const offset = client.accepted?.offset ?? 0;
    client.data(offset, this.#kept.subarray(offset - this.#from));
    await client.end(this.#end);
    assert.equal(client.acknowledgedTo, this.#end, JSON.stringify(client.refused));
    client.destroy();
  }

  get #end(): number {
    return this.#from + this.#kept.length;
  }

  #make(): void {
    this.#kept = Buffer.concat([this.#kept, this.#source.record(this.#records++)]);
  }

  #take(acknowledgedTo: number): void {
    const bytes = acknowledgedTo - this.#from;
    if (bytes <= 0) return;
    assert.ok(bytes <= this.#kept.length, 'the server acknowledges what it was never sent');
    this.#crc = runningCrc(this.#crc, this.#kept.subarray(0, bytes));
    this.#kept = this.#kept.subarray(bytes);
    this.#from = acknowledgedTo;
  }

  async #open(port: number): Promise<AckClient> {
    const to = { host: '127.0.0.1', port, rejectUnauthorized: false };
    const client = await AckClient.connect(to, Buffer.from(KEY));
    const { sensor, stream } = this;
    const { type } = this.#source;
    const answer = await client.open({
      sensor,
      stream,
      type,
      from: this.#from,
      end: this.#end,
      crc: this.#crc,
      previousCause: PREVIOUS_CAUSE.none,
    });
    if (!('offset' in answer)) {
      // The journal is not there for a moment while the server is crashed.
      throw new Error(`the stream was refused: ${answer.code}`);
    }
    assert.ok(answer.offset >= this.#from, 'what was acknowledged is lost');
    this.#take(answer.offset);
    if (client.sender !== undefined) client.write(client.sender.resume({ offset: answer.offset, crc: this.#crc }));
    return client;
  }
}

/**
 * Crashes a server again and again on the same home while sensors with acknowledgement send. Afterwards the journal holds
 * each stream as it was made: every byte, once.
 * @returns bytes that were acknowledged before the end
 * @throws AssertionError
 */
export async function crashAcknowledging({ count, home, crash }: Rounds): Promise<number> {
  let server: ServerProcess = await launchServer({ home });
  const sensors = [new AckSensor(LINES), new AckSensor(LINES), new AckSensor(CAPTURE)];
  for (const { sensor } of sensors) {
    const added = await runD4(['sensor', 'add', '--home', home, '--uuid', sensor, '--key', KEY, '--approve']);
    assert.equal(added.code, 0, added.stderr);
  }
  const portOf = ({ info }: ServerProcess): number => Number(info.listen.split(':').at(-1));
  for (let round = 0; round < count; round++) {
    const running = sensors.map((sensor) => sensor.run(portOf(server)));
    // One crash in four may come before anything has arrived.
    const wanted = round % 4 === 3 ? 0 : acknowledgedBy(sensors) + 200_000 + ((round * 7919) % 50) * 20_000;
    const over = Promise.all(running).then(() => true);
    while (acknowledgedBy(sensors) < wanted) {
      if (await Promise.race([over, delay(5, false)])) assert.fail('the sensors lost their connections by themselves');
    }
    await crash(server);
    await Promise.all(running);
    server = await launchServer({ home });
  }
  const acknowledged = acknowledgedBy(sensors);
  for (const sensor of sensors) await sensor.finish(portOf(server));
  assert.equal((await server.stop()).code, 0);
  await checkJournal(home, sensors);
  return acknowledged;
}

function acknowledgedBy(sensors: readonly AckSensor[]): number {
  return sensors.reduce((sum, { acknowledgedTo }) => sum + acknowledgedTo, 0);
}

/** A stream as the journal has it: entries are counted by kind. */
interface KeptStream {
  readonly pieces: Buffer[];
  readonly kinds: Map<number, number>;
  length: number;
  /** Whether a fragment is the last that was seen, and not the last of its record. */
  open: boolean;
}

async function checkJournal(home: string, sensors: readonly AckSensor[]): Promise<void> {
  const journal = await openFileJournal({ root: join(home, 'journal'), policy: 'os', log: pino({ level: 'silent' }) });
  try {
    const streams = new Map<string, KeptStream>();
    for (const name of ['1', '3']) {
      const topic = await journal.open(name);
      for (let sequence = topic.firstSequence; sequence < topic.endSequence; ) {
        const entries = await topic.read(sequence, 1024 * 1024);
        assert.ok(entries.length > 0);
        for (const { sequence: at, stream: definition, kind, offset, bytes, flags } of entries) {
          sequence = at + 1;
          const stream: KeptStream = streams.get(definition.id) ?? {
            pieces: [],
            length: 0,
            kinds: new Map(),
            open: false,
          };
          streams.set(definition.id, stream);
          stream.kinds.set(kind, (stream.kinds.get(kind) ?? 0) + 1);
          if (kind !== 2) continue;
          assert.equal(offset, stream.length, 'bytes are missing, or twice');
          const isFirst = (flags & 1) !== 0;
          const isRest = (flags & 6) !== 0;
          assert.equal(isRest, stream.open, 'the fragments of a record are consecutive');
          stream.open = isFirst || (flags & 4) !== 0;
          stream.pieces.push(Buffer.from(bytes));
          stream.length += bytes.length;
        }
      }
    }
    for (const sensor of sensors) {
      const stream = streams.get(sensor.stream);
      assert.ok(stream !== undefined);
      assert.ok(Buffer.concat(stream.pieces).equals(sensor.whole), 'the stream as it was made');
      assert.equal(stream.kinds.get(4), 1, 'closed once, by its END');
      assert.equal(stream.kinds.get(5), undefined, 'no gap');
    }
  } finally {
    await journal.close();
  }
}
