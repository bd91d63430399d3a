import {
  ACCEPT_STATE,
  ACK_HEAD_BYTES,
  ACK_LIMITS,
  ACK_MAC_BYTES,
  ACK_NONCE_BYTES,
  ACK_STATE,
  ACK_TYPE,
  type AckChallenge,
  AckDecoder,
  AckMac,
  type AckOpen,
  AckSender,
  type AckState,
  type AckType,
  claimOfOpen,
  D4Error,
  deriveAckKeys,
  type EndCause,
  encodeChallenge,
  encodeUnprovedRefuse,
  type HmacScratch,
  nonceOfOpen,
  type RawAckMessage,
  REFUSALS,
  type RefusalCode,
  readData,
  readEnd,
  readGap,
  readOpen,
  readResume,
  type SensorId,
  WIRE_TYPE,
  wholeBody,
} from '@d4ts/protocol';
import type { SensorKey } from '../registry/sensor-key.ts';
import type { Admission, Candidate, Refusal } from './admission.ts';
import { MetaHeaderReader } from './meta-header.ts';
import type { SensorSession } from './sensor-session.ts';
import { isDeclarable, type PayloadSink, type StreamStart } from './session.ts';

/** Where the bytes of an acknowledged stream go. */
export interface AckStreamSink extends PayloadSink {
  /** Bytes up to an offset will never come; from there on the stream's CRC-32 is `crc`. */
  leaveOut(to: number, cause: string, crc: number): void;
}

/** A stream that goes on at an offset, or had ended there. */
export type OpenedStream =
  | {
      readonly kind: 'open';
      readonly offset: number;
      /** CRC-32 of the stream up to `offset`; undefined where it is not known. */
      readonly crc: number | undefined;
      readonly maxRecordBytes: number;
      readonly sink: AckStreamSink;
    }
  | { readonly kind: 'ended'; readonly offset: number };

/** What a session of an acknowledged stream asks of the world around it. Every call comes from within one of its own. */
export interface AckSessionEffects {
  send(bytes: Buffer): void;
  /** As of `SessionEffects`. */
  enrol(sensor: SensorId): boolean;
  proved(sensor: SensorId): void;
  /** Asks for a stream; answered by `opened`. */
  openAcknowledged(start: StreamStart, open: AckOpen): void;
  /** The client has told the end of its stream; answered by `ended`. */
  endAcknowledged(total: number, cause: EndCause): void;
  /** The session is over, and the client was told why; the connection is to be closed. */
  refused(refusal: Refusal): void;
}

/** How sessions are held; times in ms. */
export interface AckSessionOptions {
  readonly headerTimeoutMs: number;
  readonly payloadTimeoutMs: number;
  readonly heartbeatMs: number;
  readonly scratch: HmacScratch;
  /** What the wall clock is ahead of the clock of `now`. */
  readonly wallOffsetMs: number;
  /** `ACK_NONCE_BYTES` random bytes. */
  readonly nonce: Buffer;
}

/** Where the life of a session stands. */
type State =
  | { readonly kind: 'challenged'; readonly candidate: Candidate | undefined }
  /** The OPEN was right; the stream is being looked up. */
  | { readonly kind: 'opening'; readonly proof: Proof }
  | { readonly kind: 'accepted'; readonly proof: Proof; readonly stream: OpenedStream & { readonly kind: 'open' } }
  | { readonly kind: 'streaming'; readonly proof: Proof; readonly sink: AckStreamSink }
  | { readonly kind: 'ending'; readonly proof: Proof }
  | { readonly kind: 'over' };

/** Who the client is, and what it sends. */
interface Proof {
  readonly candidate: Candidate;
  readonly key: SensorKey;
  readonly type: number;
  readonly topic: string;
}

const OVER: State = { kind: 'over' };
/** Bytes of a message beside its body. */
const AROUND_BODY_BYTES = ACK_HEAD_BYTES + ACK_MAC_BYTES;
/** The messages that may come in each state. */
const EXPECTED: Readonly<Record<State['kind'], readonly AckType[]>> = {
  challenged: [ACK_TYPE.open],
  opening: [],
  accepted: [ACK_TYPE.resume],
  streaming: [ACK_TYPE.data, ACK_TYPE.gap, ACK_TYPE.end],
  ending: [],
  over: [],
};

/**
 * The life of a connection that speaks `d4-ack/1` (docs/acknowledged-streams.md), without socket and clock: bytes,
 * ticks, commits and changes of the registry in; calls of `AckSessionEffects` out. `now` is any monotonic clock in ms.
 */
export class AckSession implements SensorSession {
  /** Verified messages, their bytes of streams, and both of the stream alone (they are the same). */
  frames = 0;
  bytes = 0;
  /** Bytes of verified messages, whole. */
  verifiedBytes = 0;
  /** When the last verified message came; on the clock of `now`. */
  lastFrameAt: number;
  /** The stream as far as it was taken, and as far as it is acknowledged. */
  receivedTo = 0;
  acknowledgedTo = 0;
  /** Gaps that the client told of, and their bytes. */
  gaps = 0;
  gapBytes = 0;

  readonly #admission: Admission;
  readonly #effects: AckSessionEffects;
  readonly #options: AckSessionOptions;
  readonly #challenge: AckChallenge;
  readonly #decoder: AckDecoder;
  #state: State = { kind: 'challenged', candidate: undefined };
  #maxDataBytes: number = ACK_LIMITS.dataBytes;
  /** Made with the keys, when the OPEN has come. */
  #incoming: AckMac | undefined;
  #sender: AckSender | undefined;
  /** Whether an ACCEPT was sent, and neither the end nor a refusal yet. */
  #acknowledges = false;
  #sentAt: number;
  #sentState: AckState = ACK_STATE.reading;
  readonly #startedAt: number;
  /** Since when an unfinished message has made no progress. */
  #waitingSince: number;
  #now: number;

  constructor(admission: Admission, effects: AckSessionEffects, options: AckSessionOptions, now: number) {
    this.#admission = admission;
    this.#effects = effects;
    this.#options = options;
    const { nonce, headerTimeoutMs, heartbeatMs } = options;
    if (nonce.length !== ACK_NONCE_BYTES) throw new D4Error('D4_ACK_MESSAGE', 'a nonce of another length');
    this.#challenge = { nonce, openTimeoutMs: headerTimeoutMs, heartbeatMs };
    this.#decoder = new AckDecoder({
      head: (type, bodyBytes) => this.#head(type, bodyBytes),
      message: (message) => this.#message(message),
    });
    this.lastFrameAt = now;
    this.#startedAt = now;
    this.#waitingSince = now;
    this.#sentAt = now;
    this.#now = now;
  }

  get streamFrames(): number {
    return this.frames;
  }

  get streamBytes(): number {
    return this.bytes;
  }

  /** Seconds since 1970: when the last message came, for its messages carry no time. */
  get newestTimestamp(): number {
    return Math.floor((this.lastFrameAt + this.#options.wallOffsetMs) / 1000);
  }

  /** Bytes of an unfinished message. */
  get pendingBytes(): number {
    return this.#decoder.pendingBytes;
  }

  get over(): boolean {
    return this.#state.kind === 'over';
  }

  /** Whether an OPEN was verified. */
  get isProved(): boolean {
    return this.#state.kind !== 'challenged' && this.#state.kind !== 'over';
  }

  /** The sensor that is proved, or that the connection claims to be. */
  get sensor(): SensorId | undefined {
    return this.#candidate?.id;
  }

  get usesPreviousKey(): boolean {
    return this.#proof?.key.isPrevious === true;
  }

  /** Speaks first; to be called once, at the beginning. */
  begin(): void {
    this.#effects.send(encodeChallenge(this.#challenge));
  }

  /** Takes the next bytes; ignored once the session is over. */
  receive(chunk: Buffer, now: number): void {
    if (this.over || chunk.length === 0) return;
    this.#now = now;
    this.#waitingSince = now;
    try {
      this.#decoder.push(chunk);
    } catch (error) {
      if (!(error instanceof D4Error) || error.code !== 'D4_ACK_MESSAGE') throw error;
      this.#refuseClaimed('bad-message');
    }
  }

  /** Refuses who has kept the server waiting; tells a silent client that the server is there. @param held whether nothing is read */
  tick(now: number, held: boolean): void {
    this.#now = now;
    const { headerTimeoutMs, payloadTimeoutMs, heartbeatMs } = this.#options;
    if (this.usesPreviousKey) this.reconsider();
    if (!held && !this.over) {
      const isLate = this.#state.kind === 'challenged' && now - this.#startedAt >= headerTimeoutMs;
      if (isLate) this.#refuseClaimed('header-timeout');
      else if (this.pendingBytes > 0 && now - this.#waitingSince >= payloadTimeoutMs) {
        this.#refuseClaimed('payload-timeout');
      }
    }
    const state = held ? ACK_STATE.holding : ACK_STATE.reading;
    if (now - this.#sentAt >= heartbeatMs || state !== this.#sentState) this.#acknowledge(state);
  }

  /** The server did not read for a while: what is late is not the sensor's fault. */
  resumed(now: number): void {
    this.#waitingSince = now;
  }

  /** The registry has changed: the session goes on, or is refused. */
  reconsider(): void {
    const { facts } = this.#admission;
    const id = this.sensor;
    if (id !== undefined && facts.isBlocked(id)) {
      this.close('blocked-uuid');
      return;
    }
    const state = this.#state;
    const proof = this.#proof;
    if (proof === undefined) return;
    const { candidate, key, type, topic } = proof;
    const sensor = facts.sensor(candidate.id);
    const current = sensor === undefined ? undefined : this.#admission.candidate(candidate.id);
    // One that registers itself may not be there yet.
    const isGone = current === undefined && candidate.sensor !== undefined;
    if (isGone) this.#refuseClaimed('not-registered');
    else if (current?.rawKeys.some((held) => held.key === key.key) === false) this.#refuseClaimed('hmac-wrong');
    else {
      const held = current?.rawKeys.find((each) => each.key === key.key) ?? key;
      if (state.kind !== 'over' && state.kind !== 'challenged')
        this.#state = { ...state, proof: { ...proof, key: held } };
      const standing = this.#admission.standing(sensor, type, 'acknowledged');
      const code = standing ?? (facts.accepts(topic) ? undefined : 'meta-type-not-accepted');
      if (code !== undefined) this.close(code);
    }
  }

  /** Ends the session for a reason that lies outside the stream. */
  close(code: RefusalCode): void {
    if (!this.over) this.#refuse({ code, sensor: this.sensor, verified: this.isProved, type: this.#proof?.type });
  }

  /** Nothing more is taken; what is committed from now on is still acknowledged. */
  end(): void {
    this.#state = OVER;
  }

  /** The stream that was asked for is there, or is refused. */
  opened(stream: OpenedStream | RefusalCode): void {
    const state = this.#state;
    if (state.kind !== 'opening') return;
    if (typeof stream === 'string') {
      this.close(stream);
      return;
    }
    const { offset } = stream;
    this.receivedTo = offset;
    this.acknowledgedTo = offset;
    const isOpen = stream.kind === 'open';
    this.#send((sender) =>
      sender.accept({
        offset,
        state: isOpen ? ACCEPT_STATE.open : ACCEPT_STATE.ended,
        maxDataBytes: this.#maxDataBytes,
        maxRecordBytes: isOpen ? stream.maxRecordBytes : 0,
      }),
    );
    if (isOpen) {
      this.#acknowledges = true;
      this.#state = { kind: 'accepted', proof: state.proof, stream };
    } else this.#state = { kind: 'ending', proof: state.proof };
  }

  /** Everything before an offset is committed and synced. */
  committed(offset: number): void {
    if (offset <= this.acknowledgedTo) return;
    this.acknowledgedTo = offset;
    this.#acknowledge(this.#sentState);
  }

  /** The stream's end is committed and synced. */
  ended(): void {
    this.acknowledgedTo = this.receivedTo;
    this.#acknowledge(ACK_STATE.ended);
    this.#acknowledges = false;
    this.#state = OVER;
  }

  get #proof(): Proof | undefined {
    return this.#state.kind === 'over' || this.#state.kind === 'challenged' ? undefined : this.#state.proof;
  }

  get #candidate(): Candidate | undefined {
    if (this.#state.kind === 'over') return undefined;
    return this.#state.kind === 'challenged' ? this.#state.candidate : this.#state.proof.candidate;
  }

  #head(type: AckType, bodyBytes: number): boolean {
    const { kind } = this.#state;
    if (!EXPECTED[kind].includes(type)) return this.#refuseClaimed('bad-message');
    if (type !== ACK_TYPE.data || bodyBytes <= this.#maxDataBytes + 8) return true;
    return this.#refuseClaimed('size-over-limit');
  }

  #message(message: RawAckMessage): boolean {
    const state = this.#state;
    if (state.kind === 'challenged') return this.#open(message);
    if (this.#incoming?.verifies(message) !== true) return this.#refuseClaimed('hmac-wrong');
    this.#count(message);
    if (state.kind === 'accepted') return this.#resume(message, state.stream, state.proof);
    if (state.kind !== 'streaming') return this.#refuseVerified('bad-message');
    switch (message.type) {
      case ACK_TYPE.data:
        return this.#data(message, state.sink);
      case ACK_TYPE.gap:
        return this.#gap(message, state.sink);
      default:
        return this.#end(message, state.proof);
    }
  }

  #count({ bodyBytes }: RawAckMessage): void {
    this.frames += 1;
    this.verifiedBytes += AROUND_BODY_BYTES + bodyBytes;
    this.lastFrameAt = this.#now;
  }

  /** Judges an OPEN in the order of admission: what is claimed, the MAC, what the sensor may send. */
  #open(message: RawAckMessage): boolean {
    const body = wholeBody(message.body);
    const { sensor: id, type } = claimOfOpen(body);
    const candidate = this.#admission.judgeClaim(id, type);
    if ('code' in candidate) return this.#refuse(candidate);
    this.#state = { kind: 'challenged', candidate };
    const key = candidate.rawKeys.find((each) => this.#opensWith(each, body, message));
    return key === undefined
      ? this.#refuseClaimed('hmac-wrong', type)
      : this.#prove(candidate, key, readOpen(body), message);
  }

  /** Whether a key fits the OPEN: then the connection keeps it (rule 39). */
  #opensWith({ key }: SensorKey, body: Buffer, message: RawAckMessage): boolean {
    const { scratch } = this.#options;
    const keys = deriveAckKeys(Buffer.from(key, 'latin1'), this.#challenge, nonceOfOpen(body));
    const incoming = new AckMac(keys.client, scratch);
    if (!incoming.verifies(message)) return false;
    this.#incoming = incoming;
    this.#sender = new AckSender(keys.server, scratch);
    return true;
  }

  #prove(candidate: Candidate, key: SensorKey, open: AckOpen, message: RawAckMessage): boolean {
    const { type } = open;
    const { sensor, id } = candidate;
    const refuse = (code: RefusalCode) => this.#refuse({ code, sensor: id, verified: sensor !== undefined, type });
    const standing = this.#admission.standing(sensor, type, 'acknowledged');
    if (standing !== undefined) return refuse(standing);
    if (type === WIRE_TYPE.metaHeader) return refuse('no-meta-header');
    if (sensor === undefined && !this.#effects.enrol(id)) return refuse('too-many-sensors');
    this.#effects.proved(id);
    this.#count(message);
    this.#maxDataBytes = Math.max(ACK_LIMITS.leastDataBytes, Math.min(ACK_LIMITS.dataBytes, candidate.maxPayloadBytes));
    const start = this.#startOf(open);
    const topic = typeof start === 'string' ? String(type) : start.topic;
    this.#state = { kind: 'opening', proof: { candidate, key, type, topic } };
    if (typeof start === 'string') return this.#refuseVerified(start);
    this.#effects.openAcknowledged(start, open);
    return true;
  }

  #startOf({ sensor, type, metaHeader }: AckOpen): StreamStart | RefusalCode {
    if (type !== WIRE_TYPE.declared) {
      if (metaHeader.length > 0) return 'bad-meta-header';
      return { sensor, topic: String(type), type, metaHeader: undefined };
    }
    const header = metaHeader.length === 0 ? 'bad' : new MetaHeaderReader().push(metaHeader);
    if (header === 'incomplete' || header === 'bad') return 'bad-meta-header';
    const { type: topic, text } = header;
    if (!isDeclarable(topic, text) || !this.#admission.facts.accepts(topic)) return 'meta-type-not-accepted';
    return { sensor, topic, type, metaHeader: text };
  }

  #resume(message: RawAckMessage, stream: OpenedStream & { kind: 'open' }, proof: Proof): boolean {
    const { offset, crc } = readResume(wholeBody(message.body));
    if (offset !== stream.offset) return this.#refuseVerified('bad-message');
    if (stream.crc !== undefined && stream.crc !== crc) return this.#refuseVerified('stream-forked');
    this.#state = { kind: 'streaming', proof, sink: stream.sink };
    return true;
  }

  #data(message: RawAckMessage, sink: AckStreamSink): boolean {
    const { offset, bytes } = readData(message.body);
    if (offset !== this.receivedTo) return this.#refuseVerified('bad-message');
    for (const piece of bytes) {
      this.receivedTo += piece.length;
      this.bytes += piece.length;
      const refusal = sink.push(piece);
      if (refusal !== undefined) return this.#refuseVerified(refusal);
    }
    return true;
  }

  #gap(message: RawAckMessage, sink: AckStreamSink): boolean {
    const { from, to, cause, crc } = readGap(wholeBody(message.body));
    if (from !== this.receivedTo) return this.#refuseVerified('bad-message');
    this.receivedTo = to;
    this.gaps += 1;
    this.gapBytes += to - from;
    sink.leaveOut(to, cause, crc);
    return true;
  }

  #end(message: RawAckMessage, proof: Proof): boolean {
    const { total, cause } = readEnd(wholeBody(message.body));
    if (total !== this.receivedTo) return this.#refuseVerified('bad-message');
    this.#state = { kind: 'ending', proof };
    this.#effects.endAcknowledged(total, cause);
    return true;
  }

  #acknowledge(state: AckState): void {
    if (!this.#acknowledges) return;
    this.#sentState = state;
    this.#send((sender) => sender.acknowledge({ offset: this.acknowledgedTo, state }));
  }

  #send(make: (sender: AckSender) => Buffer): void {
    if (this.#sender === undefined) return;
    this.#sentAt = this.#now;
    this.#effects.send(make(this.#sender));
  }

  #refuseVerified(code: RefusalCode): false {
    return this.#refuse({ code, sensor: this.sensor, verified: true, type: this.#proof?.type });
  }

  #refuseClaimed(code: RefusalCode, type?: number): false {
    return this.#refuse({ code, sensor: this.sensor, verified: false, type: type ?? this.#proof?.type });
  }

  #refuse(refusal: Refusal): false {
    this.#state = OVER;
    this.#acknowledges = false;
    const refuse = { code: refusal.code, text: REFUSALS[refusal.code] };
    if (this.#sender === undefined) this.#effects.send(encodeUnprovedRefuse(refuse));
    else this.#effects.send(this.#sender.refuse(refuse));
    this.#effects.refused(refusal);
    return false;
  }
}
