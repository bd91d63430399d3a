import type { Logger } from 'pino';

const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 30_000;

/**
 * What waits for the journal, over all sessions. While it is over the limit, or while the journal cannot be written, no
 * sensor's socket is read; the drafts are kept and offered again (docs/journal.md, rule 11).
 */
export class BackPressure {
  readonly #maxBytes: number;
  readonly #log: Logger;
  readonly #onChange: () => void;
  #bytes = 0;
  #full = false;
  /** Who waits to try again. */
  #failed: (() => void)[] = [];
  /** Tries under way. */
  #retrying = 0;
  #retryMs = FIRST_RETRY_MS;
  #timer: NodeJS.Timeout | undefined;
  /** Somebody else has said that nothing is to be read. */
  #heldFor: string | undefined;
  #holds = false;

  /** @param onChange called when `holdsAll` has changed */
  constructor(maxBytes: number, log: Logger, onChange: () => void) {
    this.#maxBytes = maxBytes;
    this.#log = log;
    this.#onChange = onChange;
  }

  /** Whether no sensor's socket is to be read. */
  get holdsAll(): boolean {
    return this.#holds;
  }

  /** Bytes that wait, by the estimate of the sessions. */
  get bytes(): number {
    return this.#bytes;
  }

  /** What waits has grown by so many bytes, or shrunk. */
  add(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes > this.#maxBytes) this.#full = true;
    else if (this.#bytes <= this.#maxBytes / 2) this.#full = false;
    this.#update();
  }

  /**
   * Something that was asked of the journal has failed: waits until it is to be tried again.
   * @param again whether this was such a try already
   */
  failed(error: unknown, again: boolean): Promise<void> {
    if (again) this.#retrying -= 1;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#failed.push(resolve);
    if (this.#timer === undefined) {
      this.#log.error(
        { err: error, retryMs: this.#retryMs },
        'the journal cannot be written: no sensor is read until it can',
      );
      this.#timer = setTimeout(() => this.#retry(), this.#retryMs);
      this.#retryMs = Math.min(this.#retryMs * 2, LAST_RETRY_MS);
    }
    this.#update();
    return promise;
  }

  /** What had failed has been done at a later try. */
  recovered(): void {
    this.#retrying -= 1;
    if (this.#retrying === 0 && this.#failed.length === 0) {
      this.#retryMs = FIRST_RETRY_MS;
      this.#log.info('the journal can be written again: sensors are read');
    }
    this.#update();
  }

  /**
   * Nothing is to be read for a reason from elsewhere, such as a disk that is nearly full; with undefined, that is over,
   * and what had failed is tried again at once.
   */
  hold(reason: string | undefined): void {
    if (reason === undefined && this.#heldFor !== undefined && this.#timer !== undefined) {
      clearTimeout(this.#timer);
      this.#retry();
    }
    this.#heldFor = reason;
    this.#update();
  }

  /** Tries nothing again. */
  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #retry(): void {
    this.#timer = undefined;
    const failed = this.#failed;
    this.#failed = [];
    this.#retrying += failed.length;
    for (const retry of failed) retry();
  }

  #update(): void {
    const holds = this.#full || this.#failed.length > 0 || this.#retrying > 0 || this.#heldFor !== undefined;
    if (holds === this.#holds) return;
    this.#holds = holds;
    this.#onChange();
  }
}
