import type { TLSSocket } from 'node:tls';
import {
  D4Error,
  ENROLL_LIMITS,
  type EnrollAnswer,
  type EnrollRequest,
  encodeEnrollAnswer,
  encodeEnrollHello,
  LineReader,
  parseEnrollRequest,
  REFUSALS,
  type RefusalCode,
  type SensorId,
} from '@d4ts/protocol';
import type { Peer } from '../connection.ts';
import type { ConnectionHub, Evictable } from '../hub.ts';
import type { EnrollDesk } from './enroll-desk.ts';

/** What an enrolment's connection has in common with the others. */
export interface EnrollOffice {
  readonly hub: ConnectionHub;
  readonly desk: EnrollDesk;
  /** The authority that signed the server's certificate, PEM. */
  readonly ca: string;
}

/**
 * One connection that speaks `d4-enroll/1` (docs/enrolment.md): the server says which authority it has, the client says
 * who it wants to be, the server answers and closes. One request, of bounded size, in bounded time.
 */
export class EnrollConnection implements Evictable {
  readonly group: string;
  readonly #peer: Peer;
  readonly #socket: TLSSocket;
  readonly #office: EnrollOffice;
  readonly #line = new LineReader(ENROLL_LIMITS.request);
  readonly #timer: NodeJS.Timeout;
  /** Ends the connection when our side is closed and the peer's is not. */
  #closing: NodeJS.Timeout | undefined;
  #state: 'asked' | 'deciding' | 'over' = 'asked';
  readonly #gone = Promise.withResolvers<void>();

  constructor(socket: TLSSocket, peer: Peer, office: EnrollOffice) {
    this.#socket = socket;
    this.#peer = peer;
    this.group = peer.group;
    this.#office = office;
    const { hub, ca } = office;
    this.#timer = setTimeout(() => this.#refuse('header-timeout'), hub.limits.headerTimeoutMs);
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('end', () => this.finish());
    socket.on('error', (error) => hub.log.debug({ err: error, address: peer.address }, 'connection lost'));
    socket.on('close', () => this.#closed());
    hub.admit(this);
    socket.write(encodeEnrollHello({ ca }));
  }

  get pendingBytes(): number {
    return this.#line.pendingBytes;
  }

  /** Resolved when the socket is closed. */
  get gone(): Promise<void> {
    return this.#gone.promise;
  }

  evict(): void {
    this.#refuse('too-many-connections');
  }

  /** Closes, after the answer where one is on its way. */
  finish(): void {
    if (this.#state === 'asked') this.#shut();
  }

  /** Closes at once. */
  destroy(): void {
    this.#socket.destroy();
  }

  #receive(chunk: Buffer): void {
    if (this.#state !== 'asked') return;
    try {
      const line = this.#line.push(chunk);
      if (line === undefined) this.#office.hub.touch(this);
      else this.#decide(parseEnrollRequest(line)).catch((error: unknown) => this.#fail(error));
    } catch (error) {
      this.#fail(error);
    }
  }

  async #decide(request: EnrollRequest): Promise<void> {
    const { hub, desk } = this.#office;
    this.#state = 'deciding';
    clearTimeout(this.#timer);
    hub.dismiss(this);
    const isBlocked = hub.networks.holds(this.#peer.address);
    const decided = isBlocked ? 'blocked-address' : await desk.enroll(request, this.#peer, hub.now());
    if (typeof decided === 'string') this.#refuse(decided, request.uuid);
    else this.#answer(decided);
  }

  /** Whatever a peer sends, it must not end the server. */
  #fail(error: unknown): void {
    if (error instanceof D4Error && error.code === 'D4_ENROLL_MESSAGE') {
      this.#refuse('bad-message', undefined, error.message);
      return;
    }
    this.#office.hub.failed(this.#peer, error);
    this.#shut();
  }

  #refuse(code: RefusalCode, sensor?: SensorId, detail?: string): void {
    if (this.#state === 'over') return;
    this.#office.hub.refused(this.#peer, { code, sensor, verified: false, type: undefined }, detail);
    this.#answer({ kind: 'refused', code, text: REFUSALS[code] });
  }

  #answer(answer: EnrollAnswer): void {
    if (this.#socket.writable) this.#socket.write(encodeEnrollAnswer(answer));
    this.#shut();
  }

  /** Closes our side; what still comes is thrown away until the peer closes too, or for a short time. */
  #shut(): void {
    if (this.#state === 'over') return;
    this.#state = 'over';
    const { hub } = this.#office;
    clearTimeout(this.#timer);
    hub.dismiss(this);
    this.#socket.end();
    this.#socket.resume();
    this.#closing = setTimeout(() => this.#socket.destroy(), hub.limits.closeTimeoutMs);
  }

  #closed(): void {
    this.#state = 'over';
    clearTimeout(this.#timer);
    clearTimeout(this.#closing);
    this.#office.hub.dismiss(this);
    this.#gone.resolve();
  }
}
