import type { Writable } from 'node:stream';
import type { ClientEnvironment } from './environment.ts';
import type { Framing } from './framing.ts';
import type { OutgoingStream } from './outgoing-stream.ts';
import type { Report } from './report.ts';
import type { Wakeup } from './wakeup.ts';

/** What both ways of sending need. */
export interface Transmission {
  readonly stream: OutgoingStream;
  readonly framing: Framing;
  readonly snaplen: number;
  readonly report: Report;
  readonly environment: ClientEnvironment;
  /** Woken when there may be something to do: more to send, the source's end, room in the socket, a broken connection. */
  readonly more: Wakeup;
  /** Woken for the source: there is room in the stream. */
  readonly room: Wakeup;
}

/** Sends a stream's frames into one writable, as fast as it takes them, and follows what the network has taken. */
export class Sending {
  readonly #transmission: Transmission;
  readonly #writable: Writable;
  readonly #mayRelease: () => boolean;
  /** Called once, when the first frame is written. */
  onFirst: (() => void) | undefined;
  #pending = 0;
  #over = false;
  #onFlushed: (() => void) | undefined;

  /** @param mayRelease whether what was flushed may be forgotten */
  constructor(transmission: Transmission, writable: Writable, mayRelease: () => boolean) {
    this.#transmission = transmission;
    this.#writable = writable;
    this.#mayRelease = mayRelease;
  }

  /**
   * Sends everything to the source's end.
   * @param broken resolves when nothing more can be sent
   * @returns whether the end was reached
   */
  async all(broken: Promise<void>): Promise<boolean> {
    const { stream, framing, snaplen, report, more, room } = this.#transmission;
    // One thing to wait for: a race of promises in a loop would keep memory for each turn.
    broken.then(() => {
      this.#over = true;
      more.wake();
    });
    this.#writable.on('drain', () => more.wake());
    let flows = true;
    for (const frame of framing.opening(stream.restart(), this.#seconds())) flows = this.#write(frame, undefined);
    while (!this.#over) {
      this.#writable.cork();
      while (flows) {
        const payload = stream.next(snaplen);
        if (payload === undefined) break;
        const upTo = stream.taken;
        flows = this.#write(framing.data(payload, this.#seconds()), () => {
          report.sent(payload.length);
          stream.flushed(upTo);
          if (this.#mayRelease()) stream.release();
          room.wake();
        });
      }
      this.#writable.uncork();
      if (flows && stream.exhausted) return true;
      await more.wait();
      flows = !this.#writable.writableNeedDrain;
    }
    return false;
  }

  /** Sends the closing frame and waits until the network has taken everything. @returns whether it has */
  async end(broken: Promise<void>): Promise<boolean> {
    this.#write(this.#transmission.framing.closing(this.#seconds()), undefined);
    const flushed = new Promise<void>((resolve) => {
      this.#onFlushed = resolve;
      if (this.#pending === 0) resolve();
    });
    await Promise.race([flushed, broken]);
    return this.#pending === 0 && !this.#over;
  }

  #write(frame: Buffer, onTaken: (() => void) | undefined): boolean {
    this.onFirst?.();
    this.onFirst = undefined;
    this.#pending++;
    return this.#writable.write(frame, (error) => {
      if (error || this.#over) return;
      this.#pending--;
      onTaken?.();
      if (this.#pending === 0) this.#onFlushed?.();
    });
  }

  #seconds(): number {
    return Math.floor(this.#transmission.environment.now() / 1000);
  }
}
