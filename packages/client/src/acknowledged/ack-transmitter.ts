import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { ACK_ALPN, HmacScratch } from '@d4ts/protocol';
import { Backoff } from '../backoff.ts';
import { addressText } from '../destination.ts';
import { agreedOn, dial } from '../dial.ts';
import type { ClientEnvironment } from '../environment.ts';
import { reasonOf } from '../network-trouble.ts';
import type { Report } from '../report.ts';
import type { NetworkOptions } from '../transmitter.ts';
import { AckSession, type SessionEnd } from './ack-session.ts';
import type { Outgoing } from './outgoing.ts';
import { WireView } from './wire-view.ts';

/** How the delivery of a stream ended. */
export type Delivery =
  /** The server has all of it, and has said so. */
  | 'ended'
  /** The client was asked to stop. */
  | 'aborted'
  /** The first failure, where only one attempt was wanted. */
  | 'failed'
  /** The server will never take it. */
  | 'rejected';

/** What a stream's delivery reports to. */
export interface DeliveryHooks {
  /** A connection holds. */
  readonly onConnected: () => void;
  /** There has been no connection for a while. */
  readonly onOutage: () => void;
  /** The server may have to hold so many bytes before it can acknowledge. */
  readonly onRecordLimit: (bytes: number) => void;
}

/** A server that takes nothing for so long is spoken of, in ms. */
const HOLDING_MS = 10_000;
/** A connection that has held for so long was no mistake of the server's, even if there was nothing to acknowledge, in ms. */
const HELD_MS = 10_000;

/** Delivers streams with acknowledgements, one after the other, each over as many connections as it takes. */
export class AckTransmitter {
  readonly #network: NetworkOptions;
  readonly #key: Buffer;
  readonly #environment: ClientEnvironment;
  readonly #report: Report;
  readonly #hooks: DeliveryHooks;
  readonly #scratch = new HmacScratch();
  readonly #backoff: Backoff;
  readonly #where: string;
  #outage: NodeJS.Timeout | undefined;
  #holding: NodeJS.Timeout | undefined;
  #connected = false;
  #reconnects = 0;
  #acceptedBefore = false;

  /** @param options.environment its signal ends everything at once */
  constructor(options: {
    network: NetworkOptions;
    key: Buffer;
    environment: ClientEnvironment;
    report: Report;
    hooks: DeliveryHooks;
  }) {
    this.#network = options.network;
    this.#key = options.key;
    this.#environment = options.environment;
    this.#report = options.report;
    this.#hooks = options.hooks;
    this.#backoff = new Backoff(options.network.retryMs, options.environment.random);
    this.#where = addressText(options.network.route.server);
  }

  /** Whether a server is taking a stream now. */
  get connected(): boolean {
    return this.#connected;
  }

  /** How often a connection had to be made anew. */
  get reconnects(): number {
    return this.#reconnects;
  }

  /**
   * Delivers a stream to its end.
   * @param isLeft whether an earlier client left it: the server may have more of it than this one
   * @param first a connection that is there already
   */
  async deliver(stream: Outgoing, isLeft: boolean, first?: Socket): Promise<Delivery> {
    this.#watchForOutage();
    this.#acceptedBefore = false;
    try {
      for (let socket = first; ; socket = undefined) {
        const before = stream.acknowledged;
        const since = performance.now();
        const end = await this.#once(stream, socket);
        const hasHeld = this.#connected && performance.now() - since > HELD_MS;
        this.#connected = false;
        // Not because a server accepts: one that does that and nothing more would be asked in a loop.
        if (stream.acknowledged > before || hasHeld) this.#backoff.reset();
        if (end.kind === 'ended') return 'ended';
        if (end.kind === 'aborted') return 'aborted';
        this.#watchForOutage();
        if (end.kind === 'unresumable' || (end.kind === 'refused' && end.action === 'new-stream')) {
          // The server has more of it than this client knows of: so it has everything that is here.
          if (end.kind === 'refused' && end.code === 'stream-ahead' && isLeft && stream.rebirth === undefined)
            return 'ended';
          const why = end.kind === 'refused' ? end.code : 'what was kept of it is damaged';
          // A new stream is not refused like this; a server that does it all the same is not asked in a loop.
          if (stream.rebirth !== undefined && !(await this.#pause(`${this.#where} refused a new stream (${why})`))) {
            return 'aborted';
          }
          await this.#reborn(stream, why);
          continue;
        }
        const trouble = this.#troubleText(end);
        if (end.kind === 'refused' && end.action === 'stop') {
          this.#report.say(`${trouble}; it will not be tried again`);
          return 'rejected';
        }
        if (this.#network.retryMs === 0) {
          this.#report.say(trouble);
          return 'failed';
        }
        if (!(await this.#pause(trouble))) return 'aborted';
      }
    } finally {
      clearTimeout(this.#outage);
      this.#outage = undefined;
    }
  }

  async #once(stream: Outgoing, first: Socket | undefined): Promise<SessionEnd> {
    const { signal } = this.#environment;
    const report = this.#report;
    let socket = first;
    if (socket === undefined) {
      report.state(`connecting to ${this.#where}`);
      try {
        socket = await dial({ ...this.#network.route, alpn: ACK_ALPN }, signal);
      } catch (cause) {
        if (signal.aborted) return { kind: 'aborted' };
        return { kind: 'broken', reason: `cannot reach it: ${reasonOf(cause)}` };
      }
    }
    if (!agreedOn(socket, ACK_ALPN)) {
      socket.destroy();
      return { kind: 'broken', reason: 'it does not take acknowledged streams any more' };
    }
    const session = new AckSession(socket, {
      view: new WireView(stream),
      key: this.#key,
      scratch: this.#scratch,
      signal,
      greetingMs: this.#environment.greetingMs,
      onAccepted: (maxRecordBytes) => {
        if (this.#acceptedBefore) this.#reconnects++;
        this.#acceptedBefore = true;
        this.#connected = true;
        clearTimeout(this.#outage);
        this.#outage = undefined;
        report.fine(`connected to ${this.#where}`);
        report.state(`connected to ${this.#where}`);
        this.#hooks.onRecordLimit(maxRecordBytes);
        this.#hooks.onConnected();
      },
      onHolding: (holding) => this.#hold(holding),
      onSent: (bytes) => report.sent(bytes),
    });
    const end = await session.run();
    this.#hold(false);
    return end;
  }

  /** A server that pauses for a moment is nothing to speak of. */
  #hold(holding: boolean): void {
    clearTimeout(this.#holding);
    if (holding) this.#holding = setTimeout(() => this.#report.holding(this.#where), HOLDING_MS);
  }

  #watchForOutage(): void {
    this.#outage ??= setTimeout(() => this.#hooks.onOutage(), this.#environment.outageMs);
  }

  #troubleText(end: SessionEnd & { kind: 'refused' | 'broken' }): string {
    if (end.kind === 'broken') return `no connection to ${this.#where} (${end.reason})`;
    const text = end.text === '' ? '' : `: ${end.text}`;
    const hint =
      end.action === 'wait'
        ? `. Somebody there has to act: "d4 sensor show ${this.#network.sensor}" and "d4 status" say why`
        : '';
    return `${this.#where} refused the stream (${end.code}${text})${hint}`;
  }

  /** @returns whether to go on */
  async #pause(trouble: string): Promise<boolean> {
    const waitMs = this.#backoff.next();
    this.#report.trouble(trouble, waitMs);
    this.#report.state(`waiting for ${this.#where}`);
    return await sleep(waitMs, true, { signal: this.#environment.signal }).catch(() => false);
  }

  async #reborn(stream: Outgoing, why: string): Promise<void> {
    const previous = stream.rebirth?.id ?? stream.identity.id;
    const id = randomBytes(16).toString('hex');
    const offset = stream.forkAt;
    this.#report.say(`the stream ${previous} cannot go on (${why}); from offset ${offset} on it is the stream ${id}`);
    await stream.reborn({ id, previous, base: { offset, crc: (await stream.crcAt(offset)) ?? 0 } });
  }
}
