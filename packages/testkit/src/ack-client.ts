import { once } from 'node:events';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import {
  ACK_ALPN,
  ACK_STATE,
  ACK_TYPE,
  type AckAccept,
  type AckAcknowledge,
  type AckChallenge,
  AckDecoder,
  type AckGap,
  AckMac,
  type AckOpen,
  type AckRefuse,
  AckSender,
  deriveAckKeys,
  END_CAUSE,
  type EndCause,
  HmacScratch,
  PREVIOUS_CAUSE,
  type RawAckMessage,
  readAccept,
  readAck,
  readChallenge,
  readRefuse,
  runningCrc,
  wholeBody,
} from '@d4ts/protocol';

const SCRATCH = new HmacScratch();
const DATA_BYTES = 64 * 1024;
const EMPTY = Buffer.alloc(0);

/** Who opens what; what is not given is as of a new stream of lines. */
export type TestOpen = Pick<AckOpen, 'sensor' | 'stream'> & Partial<AckOpen>;

/**
 * A client of acknowledged streams for tests: it does what it is told to, message by message, also what no client may
 * do, and notes what the server says.
 */
export class AckClient {
  readonly socket: TLSSocket;
  challenge: AckChallenge | undefined;
  accepted: AckAccept | undefined;
  refused: (AckRefuse & { readonly verified: boolean }) | undefined;
  readonly acks: AckAcknowledge[] = [];
  sender: AckSender | undefined;
  readonly #key: Buffer;
  readonly #decoder: AckDecoder;
  #incoming: AckMac | undefined;
  readonly #waiting = new Set<() => void>();
  #closed = false;

  private constructor(socket: TLSSocket, key: Buffer) {
    this.socket = socket;
    this.#key = key;
    this.#decoder = new AckDecoder({ head: () => true, message: (message) => this.#take(message) });
    socket.on('data', (chunk: Buffer) => this.#decoder.push(chunk));
    for (const event of ['end', 'error', 'close']) {
      socket.on(event, () => {
        this.#closed = true;
        this.#wake();
      });
    }
  }

  /** Connects, and waits for the CHALLENGE. */
  static async connect(to: ConnectionOptions, key: Buffer): Promise<AckClient> {
    const socket = connect({ ALPNProtocols: [ACK_ALPN], ...to });
    await once(socket, 'secureConnect');
    const client = new AckClient(socket, key);
    await client.until(() => client.challenge !== undefined);
    return client;
  }

  /** Whether the server has closed its side, or the connection is gone. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Up to where the server has acknowledged. */
  get acknowledgedTo(): number {
    return this.acks.at(-1)?.offset ?? this.accepted?.offset ?? 0;
  }

  /** Sends an OPEN, and waits for what the server says to it. */
  async open(open: TestOpen): Promise<AckAccept | AckRefuse> {
    this.sendOpen(open);
    await this.until(() => this.accepted !== undefined || this.refused !== undefined);
    const answer = this.accepted ?? this.refused;
    if (answer === undefined) throw new Error('the server closed the connection without an answer to OPEN');
    return answer;
  }

  /** Makes the keys, and sends an OPEN. */
  sendOpen(open: TestOpen): void {
    if (this.challenge === undefined) throw new Error('no challenge has come');
    const nonce = open.nonce ?? Buffer.alloc(32, 7);
    const keys = deriveAckKeys(this.#key, this.challenge, nonce);
    this.sender = new AckSender(keys.client, SCRATCH);
    this.#incoming = new AckMac(keys.server, SCRATCH);
    const { from = 0 } = open;
    const given: AckOpen = {
      type: 3,
      nonce,
      from,
      end: Math.max(from, open.end ?? from),
      crc: 0,
      previous: undefined,
      previousCause: PREVIOUS_CAUSE.none,
      metaHeader: EMPTY,
      preamble: EMPTY,
      ...open,
    };
    this.write(this.sender.open(given));
  }

  /** Says that it has the same stream up to the offset of ACCEPT. @param before the stream up to there */
  resume(before: Buffer = EMPTY): void {
    this.write(this.#made().resume({ offset: this.accepted?.offset ?? 0, crc: runningCrc(0, before) }));
  }

  /** Sends bytes of the stream, from an offset on. */
  data(offset: number, bytes: Buffer, dataBytes: number = DATA_BYTES): void {
    for (let at = 0; at < bytes.length; at += dataBytes) {
      for (const piece of this.#made().data(offset + at, [bytes.subarray(at, at + dataBytes)])) this.write(piece);
    }
  }

  gap(gap: AckGap): void {
    this.write(this.#made().gap(gap));
  }

  /** Tells the end, and waits until it is committed, or the server closes. */
  async end(total: number, cause: EndCause = END_CAUSE.complete): Promise<void> {
    this.write(this.#made().end({ total, cause }));
    await this.until(() => this.acks.at(-1)?.state === ACK_STATE.ended);
  }

  /** Waits until the server has acknowledged so much. */
  async acknowledged(offset: number): Promise<void> {
    await this.until(() => this.acknowledgedTo >= offset);
    if (this.acknowledgedTo < offset) throw new Error(`acknowledged up to ${this.acknowledgedTo}, not ${offset}`);
  }

  /** Waits until something holds, or the server has closed. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds() && !this.#closed) {
      await new Promise<void>((resolve) => {
        this.#waiting.add(resolve);
      });
    }
  }

  write(bytes: Buffer): void {
    this.socket.write(bytes);
  }

  /** Goes away without a word. */
  destroy(): void {
    this.socket.destroy();
  }

  #made(): AckSender {
    if (this.sender === undefined) throw new Error('no OPEN was sent');
    return this.sender;
  }

  #take(message: RawAckMessage): boolean {
    const body = wholeBody(message.body);
    if (message.type === ACK_TYPE.challenge) this.challenge = readChallenge(body);
    else {
      const verified = this.#incoming?.verifies(message) ?? false;
      if (message.type === ACK_TYPE.refuse) this.refused = { ...readRefuse(body), verified };
      else if (!verified) throw new Error(`a message of type ${message.type} has a wrong MAC`);
      else if (message.type === ACK_TYPE.accept) this.accepted = readAccept(body);
      else this.acks.push(readAck(body));
    }
    this.#wake();
    return true;
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }
}
