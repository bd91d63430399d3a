import { D4Error } from '@d4ts/protocol';
import type { Outgoing, Piece } from '../acknowledged/outgoing.ts';
import type { RecordBoundaries } from '../record-boundaries.ts';
import { Wakeup } from '../wakeup.ts';
import { BoundaryTrail } from './boundary-trail.ts';
import { LostRanges } from './lost-ranges.ts';
import { MemoryWindow } from './memory-window.ts';
import { MAX_CHUNK_BYTES } from './segment-format.ts';
import type { Spool } from './spool.ts';
import type { SpooledStream } from './spooled-stream.ts';
import type { StreamIdentity } from './stream-identity.ts';
import { type Rebirth, START_MARK, type StreamEnd } from './stream-record.ts';

/** So often a record's end is looked for: any chunk of `MAX_CHUNK_BYTES` can end with a record that is shorter. */
const SCANNED_BYTES = MAX_CHUNK_BYTES / 2;

/** How a backlog is kept. Sizes are in bytes, times in ms. */
export interface BacklogOptions {
  /** What may be in memory. */
  readonly memoryBytes: number;
  /** When the memory has been full for so long, the server is behind: the rest goes to the disk. */
  readonly behindMs: number;
  /** What was written is made durable after this time at the latest. */
  readonly syncMs: number;
  /** How soon a write that failed is tried again. */
  readonly retryMs: number;
  /** When memory and disk are full: let the source wait, or drop the oldest. */
  readonly whenFull: 'wait' | 'drop-oldest';
  /** Every byte goes to the disk, durably, before it is sent. */
  readonly always: boolean;
  /** The source keeps what it has not given: it is not read ahead of the server by more than the memory takes. */
  readonly sourceKeeps: boolean;
  /** Something is wrong that goes on: said when it changes, and once a minute. */
  readonly onTrouble: (text: string) => void;
  /** Something is lost, or was found to be damaged: said each time. */
  readonly onLoss: (text: string) => void;
}

/**
 * What one stream has not got acknowledged: its newest bytes in memory, the older ones in the spool, but only where the
 * server cannot be reached (`outage`) or is behind. Positions, all stream offsets:
 *
 * acknowledged ≤ start of the memory ≤ written ≤ end of the memory, while there is anything to write.
 */
export class Backlog implements Outgoing {
  readonly identity: StreamIdentity;
  readonly more = new Wakeup();
  readonly #options: BacklogOptions;
  readonly #spool: Spool | undefined;
  readonly #disk: SpooledStream | undefined;
  readonly #lost: LostRanges;
  readonly #boundaries: RecordBoundaries | undefined;
  readonly #trail = new BoundaryTrail();
  readonly #memory: MemoryWindow;
  readonly #room = new Wakeup();
  #acknowledged: number;
  #written: number;
  #end: StreamEnd | undefined;
  #rebirth: Rebirth | undefined;
  #preamble: Buffer;
  #outage = false;
  #behind = false;
  #closing = false;
  #keeping: Promise<void> | undefined;
  #freed = new Wakeup();
  #syncTimer: NodeJS.Timeout | undefined;
  #droppedBytes = 0;
  #gapsEnd = 0;
  #gaps = 0;

  private constructor(
    identity: StreamIdentity,
    options: BacklogOptions,
    spool: Spool | undefined,
    disk: SpooledStream | undefined,
    boundaries: RecordBoundaries | undefined,
  ) {
    this.identity = identity;
    this.#options = options;
    this.#spool = spool;
    this.#disk = disk;
    this.#boundaries = boundaries;
    this.#lost = disk?.lost ?? new LostRanges();
    const ends = this.#lost.all.map(({ to }) => to);
    const keptTo = Math.max(0, disk?.keptTo ?? 0, disk?.mark.offset ?? 0, disk?.end?.total ?? 0, ...ends);
    this.#memory = new MemoryWindow({ offset: keptTo, crc: 0 });
    this.#written = keptTo;
    this.#acknowledged = disk?.mark.offset ?? 0;
    this.#rebirth = disk?.rebirth;
    this.#preamble = disk?.preamble ?? Buffer.alloc(0);
    if (boundaries === undefined) this.#end = disk?.end ?? { total: keptTo, complete: false };
  }

  /** A stream that begins now. @param spool undefined where nothing can be kept on disk */
  static begin(
    identity: StreamIdentity,
    boundaries: RecordBoundaries,
    options: BacklogOptions,
    spool: Spool | undefined,
  ): Backlog {
    return new Backlog(identity, options, spool, spool?.create(identity), boundaries);
  }

  /** A stream that an earlier client left. It has ended: nobody can go on with it. */
  static left(stream: SpooledStream, options: BacklogOptions, spool: Spool): Backlog {
    return new Backlog(stream.identity, options, spool, stream, undefined);
  }

  get acknowledged(): number {
    return this.#acknowledged;
  }

  get forkAt(): number {
    return this.#acknowledged;
  }

  /** Behind the last byte that was read. */
  get length(): number {
    return this.#memory.end;
  }

  get available(): number {
    return this.#options.always && this.#disk !== undefined && this.#boundaries !== undefined
      ? Math.max(this.#acknowledged, Math.min(this.#written, this.#disk.syncedTo))
      : this.#memory.end;
  }

  get end(): StreamEnd | undefined {
    return this.#end;
  }

  get rebirth(): Rebirth | undefined {
    return this.#rebirth;
  }

  get preamble(): Buffer {
    return this.#preamble;
  }

  /** Bytes that were read and are not acknowledged, without those that are given up. */
  get unacknowledged(): number {
    const lost = this.#lost.all.reduce(
      (sum, { from, to }) => sum + Math.max(0, to - Math.max(from, this.#acknowledged)),
      0,
    );
    return this.#memory.end - this.#acknowledged - lost;
  }

  /** How many ranges, and how many bytes, were given up because there was no room. */
  get dropped(): number {
    return this.#droppedBytes;
  }

  /** How many gaps the server was told of. */
  get gaps(): number {
    return this.#gaps;
  }

  /** Takes bytes of the source; resolves when it may give more. */
  async append(bytes: Buffer): Promise<void> {
    for (let at = 0; at < bytes.length; at += SCANNED_BYTES) {
      const piece = bytes.subarray(at, at + SCANNED_BYTES);
      const boundary = this.#boundaries?.last(piece) ?? -1;
      if (boundary !== -1) this.#trail.add(this.#memory.end + boundary);
      this.#memory.append(piece);
    }
    const preamble = this.#boundaries?.preamble;
    if (preamble !== undefined && preamble.length > this.#preamble.length) {
      this.#preamble = preamble;
      await this.#disk?.begin(preamble).catch((error) => this.#cannotWrite(error));
    }
    if (!this.#options.always) this.more.wake();
    this.#keep();
    let patience: NodeJS.Timeout | undefined;
    while (!this.#hasRoom && !this.#closing) {
      patience ??= setTimeout(() => {
        this.#behind = true;
        this.#keep();
      }, this.#options.behindMs);
      await this.#room.wait();
      this.#keep();
    }
    clearTimeout(patience);
  }

  get #hasRoom(): boolean {
    const { memoryBytes, always, sourceKeeps } = this.#options;
    if (sourceKeeps && this.#memory.end - this.#acknowledged >= memoryBytes) return false;
    if (always && this.available < this.#memory.end) return false;
    return this.#memory.length < memoryBytes;
  }

  /** The source has ended. @param complete whether by itself */
  finish(complete: boolean): void {
    this.#end = { total: this.#memory.end, complete };
    this.more.wake();
    this.#keep();
  }

  /** The server cannot be reached: what is not acknowledged goes to the disk. */
  outage(): void {
    this.#outage = true;
    this.#keep();
  }

  /** The server can be reached again: what is new stays in memory. */
  connected(): void {
    this.#outage = false;
    this.more.wake();
  }

  async read(offset: number, maxBytes: number): Promise<Piece | undefined> {
    const piece = await this.#read(offset, maxBytes);
    if (piece?.kind === 'data') this.#disk?.knowSent(offset + piece.bytes.length);
    return piece;
  }

  async #read(offset: number, maxBytes: number): Promise<Piece | undefined> {
    for (;;) {
      if (offset >= this.available) return undefined;
      const lost = this.#lost.at(offset);
      if (lost !== undefined) return this.#gap(lost.to, lost.cause);
      if (offset >= this.#memory.start) {
        return { kind: 'data', bytes: this.#memory.read(offset, Math.min(maxBytes, this.available - offset)) };
      }
      const most = Math.min(maxBytes, this.#memory.start - offset);
      const found = await this.#disk?.read(offset, most);
      if (found?.kind === 'data') return { kind: 'data', bytes: found.bytes };
      // What was not there may have been dropped while it was looked for.
      if (this.#lost.at(offset) !== undefined || offset < this.#acknowledged) continue;
      const next = found?.to ?? 0;
      const to = next > offset ? Math.min(next, this.#memory.start) : this.#memory.start;
      this.#lost.add({ from: offset, to, cause: 'spool-damaged' });
      this.#options.onLoss(`the spool is damaged: ${to - offset} bytes from offset ${offset} on cannot be read`);
    }
  }

  #gap(to: number, cause: 'spool-full' | 'spool-damaged'): Piece {
    if (to > this.#gapsEnd) {
      this.#gaps++;
      this.#gapsEnd = to;
    }
    return { kind: 'gap', to, cause };
  }

  async crcAt(offset: number): Promise<number | undefined> {
    if (offset === 0) return 0;
    const { mark } = this.#disk ?? { mark: START_MARK };
    if (offset === mark.offset) return mark.crc;
    if (this.#boundaries !== undefined && offset >= this.#memory.start) return this.#memory.crcAt(offset);
    const known = await this.#disk?.crcAt(offset);
    if (known !== undefined) return known;
    // Behind a gap that nothing follows, both sides go on with this value.
    return this.#lost.all.some(({ to }) => to === offset) ? 0 : undefined;
  }

  acknowledge(offset: number): void {
    if (offset <= this.#acknowledged) return;
    this.#acknowledged = offset;
    this.#release(offset).catch((error) => this.#cannotWrite(error));
  }

  async #release(offset: number): Promise<void> {
    const disk = this.#disk;
    disk?.knowAcknowledged(offset);
    if (disk?.holdsOnlyBefore(offset)) {
      const crc = await this.crcAt(offset);
      await disk.release(offset, crc === undefined ? disk.mark : { offset, crc });
    }
    this.#memory.dropBefore(offset);
    this.#trail.forgetBefore(this.#memory.start);
    this.#written = Math.max(this.#written, this.#memory.start);
    if (disk?.start === undefined) this.#behind = false;
    this.#freed.wake();
    this.#room.wake();
  }

  async reborn(rebirth: Rebirth): Promise<void> {
    this.#rebirth = rebirth;
    await this.#disk?.reborn(rebirth).catch((error) => this.#cannotWrite(error));
  }

  /** Nobody will make room any more: what has been read is taken all the same, and reading ends. */
  stopWaiting(): void {
    this.#closing = true;
    this.#room.wake();
    this.#freed.wake();
  }

  /** Leaves the stream's name on disk, so that the next client can say what became of it. */
  async remember(): Promise<void> {
    await this.#disk?.make().catch((error) => this.#cannotWrite(error));
  }

  /** Puts on disk what is not acknowledged, durably, and lets go of it. @returns how many bytes could not be kept */
  async close(): Promise<number> {
    this.stopWaiting();
    clearTimeout(this.#syncTimer);
    await this.#keeping;
    if (this.#disk === undefined) return this.unacknowledged;
    try {
      const crc = await this.crcAt(this.#acknowledged);
      if (crc !== undefined) this.#disk.note({ offset: this.#acknowledged, crc });
      if (this.#memory.end > this.#acknowledged) await this.#disk.make();
      while (this.#written < this.#memory.end && (await this.#write()) !== 'waiting');
      const notKept = this.#memory.end - Math.max(this.#written, this.#acknowledged);
      if (notKept === 0 && this.#end !== undefined) await this.#disk.finish(this.#end);
      await this.#disk.close();
      return notKept;
    } catch (error) {
      this.#cannotWrite(error as Error);
      return this.#memory.end - Math.max(this.#disk.syncedTo, this.#acknowledged);
    }
  }

  /** Everything is acknowledged, the end too. */
  async remove(): Promise<void> {
    this.#closing = true;
    this.#freed.wake();
    clearTimeout(this.#syncTimer);
    await this.#keeping;
    if (this.#disk !== undefined) await this.#spool?.remove(this.#disk).catch((error) => this.#cannotWrite(error));
  }

  /** Up to which offset the disk should have what is not acknowledged. */
  get #target(): number {
    if (this.#options.always || this.#outage || this.#closing) return this.#memory.end;
    return this.#behind ? this.#memory.end - this.#options.memoryBytes / 2 : 0;
  }

  /** Writes what is to be on disk, and makes room. One such loop runs at a time. */
  #keep(): void {
    if (this.#keeping !== undefined || !this.#hasToKeep) return;
    this.#keeping = this.#keepOn().finally(() => {
      this.#keeping = undefined;
      // What came in since it looked last.
      this.#keep();
    });
  }

  get #hasToKeep(): boolean {
    if (this.#closing || this.#boundaries === undefined) return false;
    if (this.#disk !== undefined) return this.#written < this.#target || this.#endIsToBeKept;
    return this.#behind && !this.#hasRoom && this.#options.whenFull === 'drop-oldest';
  }

  get #endIsToBeKept(): boolean {
    return this.#outage && this.#end !== undefined && this.#disk?.end === undefined && this.#disk?.start !== undefined;
  }

  async #keepOn(): Promise<void> {
    while (this.#hasToKeep) {
      if (this.#disk === undefined) this.#dropFromMemory();
      else if (this.#written < this.#target) {
        if ((await this.#write()) === 'waiting') await this.#waitForSpace();
      } else await this.#keepEnd(this.#disk);
      await this.#makeRoom();
    }
  }

  /** So that a client that is killed now does not leave a stream that seems to have been cut off. */
  async #keepEnd(disk: SpooledStream): Promise<void> {
    try {
      await disk.sync();
      if (this.#end !== undefined) await disk.finish(this.#end);
    } catch (error) {
      await this.#startOver(error as Error);
      await this.#waitForSpace();
    }
  }

  /** Memory that is durable on disk is room. */
  async #makeRoom(): Promise<void> {
    const disk = this.#disk;
    if (disk !== undefined && this.#memory.length >= this.#options.memoryBytes && disk.keptTo > disk.syncedTo) {
      await disk.sync().catch((error) => this.#startOver(error));
    }
    if (disk !== undefined && this.#memory.length >= this.#options.memoryBytes / 2) {
      this.#memory.dropBefore(Math.min(disk.syncedTo, this.#memory.end - this.#options.memoryBytes / 2));
      this.#trail.forgetBefore(this.#memory.start);
    }
    this.#room.wake();
  }

  /** Writes one chunk. @returns 'waiting' where that has to wait for room */
  async #write(): Promise<'written' | 'waiting'> {
    const disk = this.#disk as SpooledStream;
    const offset = Math.max(this.#written, this.#memory.start);
    const data = this.#memory.readWhole(offset, MAX_CHUNK_BYTES);
    const boundary = this.#trail.lastIn(offset, offset + data.length);
    const cut = boundary === undefined ? data : data.subarray(0, boundary - offset);
    const crc = this.#memory.crcAt(offset);
    try {
      await disk.append({ offset, data: cut, crc, startsRecord: this.#trail.has(offset) });
      this.#written = offset + cut.length;
      if (this.#options.always) {
        if (this.#written === this.#memory.end || this.#written - disk.syncedTo >= 1_048_576) await disk.sync();
        this.more.wake();
      } else this.#syncSoon();
      return 'written';
    } catch (error) {
      if (error instanceof D4Error && error.code === 'D4_SPOOL_FULL') return await this.#full(error.message);
      return await this.#startOver(error as Error);
    }
  }

  async #full(why: string): Promise<'written' | 'waiting'> {
    if (this.#options.whenFull === 'wait') {
      this.#options.onTrouble(`${why}; the source has to wait (--spool-full drop-oldest drops the oldest instead)`);
      return 'waiting';
    }
    const oldest = this.#spool?.oldest;
    const droppedBytes = (await oldest?.dropOldest()) ?? 0;
    if (oldest === undefined) {
      if (this.#hasRoom) return 'waiting';
      this.#dropFromMemory();
    }
    this.#droppedBytes += droppedBytes;
    this.#options.onTrouble(`${why}; the oldest is dropped, ${this.#droppedBytes} bytes so far`);
    return 'written';
  }

  /** Nothing is on disk that could be dropped. */
  #dropFromMemory(): void {
    const from = this.#memory.start;
    const boundary = this.#trail.lastIn(from, from + MAX_CHUNK_BYTES);
    const to = boundary ?? Math.min(from + MAX_CHUNK_BYTES, this.#memory.end);
    this.#lost.add({ from, to, cause: 'spool-full' });
    this.#memory.dropBefore(to);
    this.#written = Math.max(this.#written, to);
    this.#droppedBytes += to - from;
    this.#options.onTrouble(
      `there is no room in memory, and no spool; the oldest is dropped, ${this.#droppedBytes} bytes so far`,
    );
  }

  /** A failed write or sync is never tried again on the same file (journal rule 11). */
  async #startOver(error: Error): Promise<'waiting'> {
    this.#cannotWrite(error);
    const disk = this.#disk as SpooledStream;
    await disk.abandonUnsynced().catch(() => {});
    this.#written = Math.max(this.#memory.start, Math.min(this.#written, disk.syncedTo));
    return 'waiting';
  }

  /** Until something was acknowledged, or a while has passed. */
  async #waitForSpace(): Promise<void> {
    const timer = setTimeout(() => this.#freed.wake(), this.#options.retryMs);
    if (!this.#closing) await this.#freed.wait();
    clearTimeout(timer);
  }

  #syncSoon(): void {
    this.#syncTimer ??= setTimeout(() => {
      this.#syncTimer = undefined;
      void this.#disk?.sync().catch((error) => this.#startOver(error));
    }, this.#options.syncMs);
  }

  #cannotWrite(error: Error): void {
    this.#options.onTrouble(`the spool cannot be written: ${error.message}`);
  }
}
