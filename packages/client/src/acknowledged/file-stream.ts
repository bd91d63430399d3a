import { type FileHandle, open } from 'node:fs/promises';
import { runningCrc } from '@d4ts/protocol';
import type { RecordBoundaries } from '../record-boundaries.ts';
import type { StreamIdentity } from '../spool/stream-identity.ts';
import type { Rebirth, StreamEnd, StreamMark } from '../spool/stream-record.ts';
import { Wakeup } from '../wakeup.ts';
import type { Outgoing, Piece } from './outgoing.ts';

/** How a file becomes a stream: as it is; or as one line, in base64 or as it is, with a newline (journal rule 39). */
export type FileForm = 'as-is' | 'line' | 'base64-line';

const PIECE_BYTES = 65_536;
/** The header of a capture: the longest preamble of a format whose stream is read from a file. */
const PREAMBLE_BYTES = 24;
const NEWLINE = Buffer.from('\n');

/** What a file's stream is made of. */
export interface FileStreamOptions {
  readonly path: string;
  readonly form: FileForm;
  readonly identity: StreamIdentity;
  readonly rebirth?: Rebirth;
  /** Acknowledged before, in bytes of the stream. */
  readonly acknowledged: number;
  /** Knows the preamble of the type. */
  readonly boundaries: RecordBoundaries;
  /** The file grows: at its end more is waited for. */
  readonly grows: boolean;
  readonly onAcknowledged: (stream: FileStream) => void;
  readonly onReborn: (stream: FileStream) => Promise<void>;
}

/** A file as a stream. Nothing of it is kept: what is to be sent again is read again. */
export class FileStream implements Outgoing {
  readonly identity: StreamIdentity;
  readonly more = new Wakeup();
  readonly preamble: Buffer;
  readonly #options: FileStreamOptions;
  readonly #file: FileHandle;
  /** Places whose CRC is known: at or before what is acknowledged, and those behind it that were read in order. */
  #marks: StreamMark[] = [{ offset: 0, crc: 0 }];
  #rebirth: Rebirth | undefined;
  #acknowledged: number;
  #available: number;
  #end: StreamEnd | undefined;
  #problem: string | undefined;
  /** Of the file when it was opened: a line is what the file was then. */
  readonly #size: number;
  /** Whether the server has gone on with the stream since the file was opened. */
  #isConfirmed = false;

  private constructor(options: FileStreamOptions, file: FileHandle, preamble: Buffer, size: number) {
    this.#options = options;
    this.identity = options.identity;
    this.preamble = preamble;
    this.#file = file;
    this.#rebirth = options.rebirth;
    this.#acknowledged = options.acknowledged;
    this.#size = size;
    this.#available = streamLength(options.form, size);
  }

  /** @throws where the file cannot be opened or read */
  static async open(options: FileStreamOptions): Promise<FileStream> {
    const file = await open(options.path);
    try {
      const { size } = await file.stat();
      const start = Buffer.alloc(PREAMBLE_BYTES);
      const { bytesRead } = await file.read(start, 0, PREAMBLE_BYTES, 0);
      if (options.form === 'as-is') options.boundaries.first(start.subarray(0, bytesRead));
      return new FileStream(options, file, options.boundaries.preamble, size);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  get rebirth(): Rebirth | undefined {
    return this.#rebirth;
  }

  get acknowledged(): number {
    return this.#acknowledged;
  }

  get available(): number {
    return Math.max(this.#available, this.#acknowledged);
  }

  get end(): StreamEnd | undefined {
    return this.#end;
  }

  /** Why it could not be read to its end. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Looks whether the file has grown. */
  async look(): Promise<void> {
    const { size } = await this.#file.stat();
    this.#available = Math.max(this.#available, streamLength(this.#options.form, size));
    this.more.wake();
  }

  async read(offset: number, maxBytes: number): Promise<Piece | undefined> {
    let bytes: Buffer;
    try {
      bytes = await this.#bytesAt(offset, maxBytes);
    } catch (error) {
      this.#problem = (error as Error).message;
      this.#end = { total: offset, complete: false };
      return undefined;
    }
    if (bytes.length > 0) {
      this.#available = Math.max(this.#available, offset + bytes.length);
      const last = this.#marks.at(-1) as StreamMark;
      if (last.offset === offset) {
        this.#marks.push({ offset: offset + bytes.length, crc: runningCrc(last.crc, bytes) });
      }
      return { kind: 'data', bytes };
    }
    if (this.#options.grows) return undefined;
    const complete = this.#options.form === 'as-is' || offset === streamLength(this.#options.form, this.#size);
    if (!complete) this.#problem = 'it has become shorter';
    this.#end = { total: offset, complete };
    return undefined;
  }

  async crcAt(offset: number): Promise<number | undefined> {
    let index = this.#marks.findLastIndex((mark) => mark.offset <= offset);
    if (index === -1) {
      this.#marks.unshift({ offset: 0, crc: 0 });
      index = 0;
    }
    let { offset: at, crc } = this.#marks[index] as StreamMark;
    while (at < offset) {
      const bytes = await this.#bytesAt(at, Math.min(PIECE_BYTES, offset - at));
      if (bytes.length === 0) return undefined;
      crc = runningCrc(crc, bytes);
      at += bytes.length;
    }
    // From here on it is read again, in order.
    this.#marks.splice(index + 1);
    if (at > (this.#marks[index] as StreamMark).offset) this.#marks.push({ offset: at, crc });
    return crc;
  }

  /** A file that was delivered in part and is another one now is sent as a whole. */
  get forkAt(): number {
    return this.#isConfirmed ? this.#acknowledged : 0;
  }

  acknowledge(offset: number): void {
    this.#isConfirmed = true;
    if (offset <= this.#acknowledged) return;
    this.#acknowledged = offset;
    const known = this.#marks.findLastIndex((mark) => mark.offset <= offset);
    this.#marks.splice(0, Math.max(known, 0));
    this.#options.onAcknowledged(this);
  }

  async reborn(rebirth: Rebirth): Promise<void> {
    this.#rebirth = rebirth;
    this.#acknowledged = rebirth.base.offset;
    await this.#options.onReborn(this);
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  /** Bytes of the stream; fewer than `maxBytes` anywhere, none at the file's end. */
  async #bytesAt(offset: number, maxBytes: number): Promise<Buffer> {
    const { form } = this.#options;
    const most = Math.min(maxBytes, PIECE_BYTES);
    if (form !== 'base64-line') {
      const bytes = await this.#fileBytes(offset, most);
      return bytes.length === 0 && form === 'line' ? this.#newline(offset) : bytes;
    }
    const group = Math.floor(offset / 4);
    const bytes = await this.#fileBytes(group * 3, Math.ceil((most + 4) / 4) * 3);
    const text = Buffer.from(bytes.toString('base64'), 'latin1').subarray(offset - group * 4);
    return text.length === 0 ? this.#newline(offset) : text.subarray(0, most);
  }

  #newline(offset: number): Buffer {
    return offset === streamLength(this.#options.form, this.#size) - 1 ? NEWLINE : Buffer.alloc(0);
  }

  async #fileBytes(position: number, most: number): Promise<Buffer> {
    const isLine = this.#options.form !== 'as-is';
    const length = isLine ? Math.max(0, Math.min(most, this.#size - position)) : most;
    const buffer = Buffer.allocUnsafeSlow(length);
    let filled = 0;
    while (filled < length) {
      const { bytesRead } = await this.#file.read(buffer, filled, length - filled, position + filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return buffer.subarray(0, filled);
  }
}

function streamLength(form: FileForm, size: number): number {
  if (form === 'as-is') return size;
  return (form === 'line' ? size : Math.ceil(size / 3) * 4) + 1;
}
