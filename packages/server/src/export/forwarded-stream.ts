import { randomBytes } from 'node:crypto';
import { type Outgoing, type Piece, type Rebirth, type StreamEnd, Wakeup } from '@d4ts/client/acknowledged';
import { runningCrc, type SensorId, WIRE_TYPE } from '@d4ts/protocol';
import type { RecordLines } from './record-lines.ts';

/** Lines in the stream. */
interface Chunk {
  readonly lines: RecordLines;
  /** Offset of its first byte, and the CRC-32 of the stream up to there. */
  readonly offset: number;
  readonly crc: number;
  /** How many of its records are acknowledged. */
  delivered: number;
}

/** A stream of lines to another server, of which what is not acknowledged is kept in memory. */
export class ForwardedStream implements Outgoing {
  readonly identity: Outgoing['identity'];
  readonly preamble = Buffer.alloc(0);
  readonly more = new Wakeup();
  acknowledged = 0;
  available = 0;
  end: StreamEnd | undefined;
  rebirth: Rebirth | undefined;
  /** Records that are not acknowledged. */
  records = 0;
  readonly #delivered: (records: number) => void;
  readonly #chunks: Chunk[] = [];
  /** Of the whole stream so far. */
  #crc = 0;

  /** @param delivered told how many more of the oldest records are acknowledged */
  constructor(options: { sensor: SensorId; source: string; metaHeader: Buffer }, delivered: (records: number) => void) {
    const id = randomBytes(16).toString('hex');
    this.identity = { ...options, id, type: WIRE_TYPE.declared, startedAt: Date.now() };
    this.#delivered = delivered;
  }

  get forkAt(): number {
    return this.acknowledged;
  }

  append(lines: RecordLines): void {
    if (lines.count === 0) return;
    this.#chunks.push({ lines, offset: this.available, crc: this.#crc, delivered: 0 });
    this.#crc = runningCrc(this.#crc, lines.bytes);
    this.available += lines.bytes.length;
    this.records += lines.count;
    this.more.wake();
  }

  /** Nothing more comes. */
  finish(): void {
    this.end = { total: this.available, complete: true };
    this.more.wake();
  }

  async read(offset: number, maxBytes: number): Promise<Piece | undefined> {
    const chunk = this.#chunkAt(offset);
    if (chunk === undefined) return undefined;
    const from = offset - chunk.offset;
    return { kind: 'data', bytes: chunk.lines.bytes.subarray(from, from + maxBytes) };
  }

  async crcAt(offset: number): Promise<number | undefined> {
    if (offset === this.available) return this.#crc;
    const chunk = this.#chunkAt(offset);
    return chunk && runningCrc(chunk.crc, chunk.lines.bytes.subarray(0, offset - chunk.offset));
  }

  acknowledge(offset: number): void {
    let delivered = 0;
    let passed = 0;
    for (const chunk of this.#chunks) {
      const { ends } = chunk.lines;
      const before = chunk.delivered;
      while (chunk.delivered < ends.length && chunk.offset + (ends[chunk.delivered] as number) <= offset) {
        chunk.delivered++;
      }
      delivered += chunk.delivered - before;
      if (chunk.delivered < ends.length) break;
      passed++;
    }
    this.#chunks.splice(0, passed);
    this.acknowledged = offset;
    this.records -= delivered;
    if (delivered > 0) this.#delivered(delivered);
  }

  async reborn(rebirth: Rebirth): Promise<void> {
    this.rebirth = rebirth;
  }

  #chunkAt(offset: number): Chunk | undefined {
    return this.#chunks.find((chunk) => offset >= chunk.offset && offset < chunk.offset + chunk.lines.bytes.length);
  }
}
