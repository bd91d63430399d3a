import { plainLine } from '@d4ts/protocol';
import type { ClientEnvironment } from './environment.ts';

/** The same state is not reported again within this time, in ms. */
const REPEAT_MS = 60_000;
/** Between two status lines, in ms. */
const STATUS_MS = 1000;

interface Said {
  readonly text: string;
  /** ms since 1970 */
  readonly at: number;
}

const NOTHING_SAID: Said = { text: '', at: 0 };

/** What a client says on the standard error: changes of state always, a status line each second with `-v`. */
export class Report {
  readonly #environment: ClientEnvironment;
  readonly #verbose: boolean;
  readonly #startedAt: number;
  #bytes = 0;
  #frames = 0;
  #state = 'starting';
  #details: () => string = () => '';
  #trouble: Said = NOTHING_SAID;
  #sourceTrouble: Said = NOTHING_SAID;
  #spoolTrouble: Said = NOTHING_SAID;
  #shown = '';
  #shownBytes = 0;
  #shownAt: number;
  #timer: NodeJS.Timeout | undefined;

  constructor(environment: ClientEnvironment, verbose: boolean) {
    this.#environment = environment;
    this.#verbose = verbose;
    this.#startedAt = environment.now();
    this.#shownAt = this.#startedAt;
    if (verbose) this.#timer = setInterval(() => this.#status(), STATUS_MS);
  }

  /** A line of its own. */
  say(text: string): void {
    this.#environment.stderr.write(`d4 client: ${plainLine(text)}\n`);
  }

  /** A connection that is tried again: said when the reason changes, and once a minute; each time with `-v`. */
  trouble(text: string, waitMs: number): void {
    if (!this.#verbose && this.#isOld(this.#trouble, text)) return;
    this.#trouble = { text, at: this.#environment.now() };
    this.say(`${text}; next attempt in ${(waitMs / 1000).toFixed(1)} s`);
  }

  /** The connection holds. */
  fine(text: string): void {
    if (this.#trouble !== NOTHING_SAID) this.say(text);
    this.#trouble = NOTHING_SAID;
  }

  /** Something is wrong with the source, but does not end it: said when it changes, and once a minute. */
  sourceTrouble(text: string): void {
    if (this.#isOld(this.#sourceTrouble, text)) return;
    this.#sourceTrouble = { text, at: this.#environment.now() };
    this.say(text);
  }

  /** Something is wrong with the spool, and the client goes on: said when it changes, and once a minute. */
  spoolTrouble(text: string): void {
    // How much has been dropped changes all the time.
    if (this.#isOld(this.#spoolTrouble, text.replace(/\d+/g, ''))) return;
    this.#spoolTrouble = { text: text.replace(/\d+/g, ''), at: this.#environment.now() };
    this.say(text);
  }

  #isOld(said: Said, text: string): boolean {
    return said.text === text && this.#environment.now() - said.at < REPEAT_MS;
  }

  /** The connection holds, but the server does not read for now. */
  holding(where: string): void {
    const text = `${where} takes nothing for now`;
    this.sourceTrouble(`${text}: it is behind, or the sensor is over its rate or quota`);
    this.state(text);
  }

  /** What else the status line tells. */
  details(details: () => string): void {
    this.#details = details;
  }

  /** For the status line. */
  state(text: string): void {
    this.#state = text;
    if (this.#verbose) this.#status();
  }

  /** One frame of data was handed to the network. */
  sent(bytes: number): void {
    this.#bytes += bytes;
    this.#frames++;
  }

  /** The last status line. */
  close(): void {
    clearInterval(this.#timer);
    if (this.#verbose) this.#status();
  }

  #status(): void {
    const now = this.#environment.now();
    const seconds = Math.max(now - this.#shownAt, 1) / 1000;
    const rate = Math.round((this.#bytes - this.#shownBytes) / seconds);
    const line = `${this.#state}: ${this.#bytes} bytes in ${this.#frames} frames${this.#details()}`;
    if (line === this.#shown) return;
    this.say(`${line}, ${rate} bytes/s`);
    this.#shown = line;
    this.#shownBytes = this.#bytes;
    this.#shownAt = now;
  }
}
