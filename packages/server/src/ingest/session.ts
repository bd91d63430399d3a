import {
  FORWARDED_BY,
  FrameDecoder,
  type FrameHeader,
  HEADER_BYTES,
  isMetaTypeName,
  type RefusalCode,
  type SensorId,
  WIRE_TYPE,
} from '@d4ts/protocol';
import type { Admission, Candidate, Refusal } from './admission.ts';
import { isBlank, MetaHeaderReader } from './meta-header.ts';
import type { SensorSession } from './sensor-session.ts';

/** Where the payloads of a session go. */
export interface PayloadSink {
  /** @returns a refusal where the bytes are not of the format */
  push(payload: Buffer): RefusalCode | undefined;
}

/** What a stream is to be opened for. */
export interface StreamStart {
  readonly sensor: SensorId;
  readonly topic: string;
  readonly type: number;
  readonly metaHeader: string | undefined;
}

/** What a session asks of the world around it. Every call comes from within one of the session's own. */
export interface SessionEffects {
  /** A sensor that is not registered has proved the default key. @returns whether it may register itself */
  enrol(sensor: SensorId): boolean;
  /** The first frame was verified. */
  proved(sensor: SensorId): void;
  /** A meta header has begun but is not complete. @returns a refusal where too many of the sensor's are (too-many-sessions) */
  declaring(sensor: SensorId): RefusalCode | undefined;
  /** The topic is known. @returns where payloads go, or a refusal (too-many-sessions) */
  open(start: StreamStart): PayloadSink | RefusalCode;
  /** The session is over; the connection is to be closed at once. */
  refused(refusal: Refusal): void;
}

/** Times in ms. */
export interface SessionTimeouts {
  readonly headerTimeoutMs: number;
  readonly payloadTimeoutMs: number;
}

/** Where the life of a connection stands. */
type State =
  /** Nothing is verified; `candidate` is known as soon as a header is. */
  | { readonly kind: 'unproved'; readonly candidate: Candidate | undefined }
  /** The meta header is on its way. */
  | { readonly kind: 'meta-header'; readonly proof: Candidate; readonly type: 2; readonly reader: MetaHeaderReader }
  /** Payloads go to the sink. `reader` is that of the meta header before them. */
  | {
      readonly kind: 'streaming';
      readonly proof: Candidate;
      readonly type: number;
      readonly topic: string;
      readonly sink: PayloadSink;
      readonly reader: MetaHeaderReader | undefined;
    }
  | { readonly kind: 'over' };

const OVER: State = { kind: 'over' };

/**
 * One connection's life, from its first byte to its end, without socket and clock: bytes, ticks and changes of the
 * registry in; calls of `SessionEffects` out. `now` is any monotonic clock in ms.
 */
export class Session implements SensorSession {
  /** Verified frames, their payload bytes, and those of the stream alone (without its meta header). */
  frames = 0;
  bytes = 0;
  streamFrames = 0;
  streamBytes = 0;
  /** The newest time in a verified header, seconds since 1970. */
  newestTimestamp = 0;
  /** When the last verified frame came; on the clock of `now`. */
  lastFrameAt: number;

  readonly #admission: Admission;
  readonly #effects: SessionEffects;
  readonly #timeouts: SessionTimeouts;
  readonly #decoder: FrameDecoder;
  #state: State = { kind: 'unproved', candidate: undefined };
  /** Complete headers so far: to know whether an incomplete one is still the same. */
  #headers = 0;
  /** Since when the decoder has waited for the rest of a header, or for more of a payload. */
  #waitingSince: number;
  #now: number;

  constructor(admission: Admission, effects: SessionEffects, timeouts: SessionTimeouts, now: number) {
    this.#admission = admission;
    this.#effects = effects;
    this.#timeouts = timeouts;
    this.#decoder = new FrameDecoder({
      header: (header) => this.#header(header),
      frame: (header, payload) => this.#frame(header, payload),
    });
    this.lastFrameAt = now;
    this.#waitingSince = now;
    this.#now = now;
  }

  get verifiedBytes(): number {
    return this.frames * HEADER_BYTES + this.bytes;
  }

  /** Bytes of an unfinished frame. */
  get pendingBytes(): number {
    return this.#decoder.pendingBytes;
  }

  get over(): boolean {
    return this.#state.kind === 'over';
  }

  /** Whether a frame was verified. */
  get isProved(): boolean {
    return this.#state.kind === 'meta-header' || this.#state.kind === 'streaming';
  }

  /** The sensor that is proved, or that the connection claims to be. */
  get sensor(): SensorId | undefined {
    return this.#candidate?.id;
  }

  /** Takes the next bytes; ignored once the session is over. */
  receive(chunk: Buffer, now: number): void {
    if (this.over || chunk.length === 0) return;
    this.#now = now;
    const headers = this.#headers;
    const before = this.#decoder.state;
    this.#decoder.push(chunk);
    const sameHeader = before === 'header' && this.#decoder.state === 'header' && headers === this.#headers;
    if (!sameHeader) this.#waitingSince = now;
  }

  /** Refuses what has kept the server waiting. */
  tick(now: number, held = false): void {
    if (this.over || held) return;
    const waited = now - this.#waitingSince;
    const { state } = this.#decoder;
    if (state === 'header' && waited >= this.#timeouts.headerTimeoutMs) this.#refuseClaimed('header-timeout');
    if (state === 'payload' && waited >= this.#timeouts.payloadTimeoutMs) this.#refuseClaimed('payload-timeout');
  }

  /** The server did not read for a while: what is late is not the sensor's fault. */
  resumed(now: number): void {
    this.#waitingSince = now;
  }

  /** The registry has changed: the session goes on, perhaps with a new key and limit, or is refused. */
  reconsider(): void {
    const state = this.#state;
    const { facts } = this.#admission;
    const id = this.sensor;
    if (id !== undefined && facts.isBlocked(id)) {
      this.close('blocked-uuid');
      return;
    }
    if (state.kind !== 'meta-header' && state.kind !== 'streaming') return;
    const proof = this.#renewed(state.proof);
    if (proof === undefined) this.#refuseClaimed('not-registered');
    else {
      const code = this.#admission.standing(proof.sensor, state.type) ?? this.#topicStanding(state);
      if (code === undefined) this.#state = { ...state, proof };
      else this.close(code);
    }
  }

  /** Ends the session for a reason that lies outside the stream. */
  close(code: RefusalCode): void {
    const verified = this.isProved;
    if (!this.over) this.#refuse({ code, sensor: this.sensor, verified, type: undefined });
  }

  /** The connection has ended. */
  end(): void {
    this.#state = OVER;
  }

  /** Whether its frames are signed with a key that has been replaced and holds for a while only. */
  get usesPreviousKey(): boolean {
    return this.#candidate?.keys.usesPrevious === true;
  }

  get #candidate(): Candidate | undefined {
    if (this.#state.kind === 'over') return undefined;
    return this.#state.kind === 'unproved' ? this.#state.candidate : this.#state.proof;
  }

  /** The sensor as it is now; undefined if it is gone. One that registers itself may not be there yet. */
  #renewed(proof: Candidate): Candidate | undefined {
    const sensor = this.#admission.facts.sensor(proof.id);
    if (sensor === proof.sensor) return proof;
    return sensor === undefined ? undefined : this.#admission.candidate(proof.id);
  }

  #topicStanding(state: State): RefusalCode | undefined {
    if (state.kind !== 'streaming' || this.#admission.facts.accepts(state.topic)) return undefined;
    return 'meta-type-not-accepted';
  }

  #header(header: FrameHeader): boolean {
    this.#headers += 1;
    const state = this.#state;
    if (state.kind === 'over') return false;
    if (state.kind === 'unproved') return this.#firstHeader(header);
    if (header.size <= state.proof.maxPayloadBytes) return true;
    const code = this.#admission.standing(state.proof.sensor, header.type) ?? 'size-over-limit';
    return this.#refuse({ code, sensor: header.sensor, verified: false, type: header.type });
  }

  #firstHeader(header: FrameHeader): boolean {
    const judged = this.#admission.judgeHeader(header);
    if ('code' in judged) return this.#refuse(judged);
    this.#state = { kind: 'unproved', candidate: judged };
    return true;
  }

  #frame(header: FrameHeader, payload: Buffer): boolean {
    const state = this.#state;
    if (state.kind === 'over') return false;
    if (state.kind === 'unproved') return this.#firstFrame(header, payload);
    const { proof } = state;
    if (!header.isFrom(proof.uuid)) return this.#changedUuid(header, payload, proof);
    if (!proof.keys.verify(header.bytes, header.at, payload)) return this.#refuseClaimed('hmac-wrong', header.type);
    if (state.kind !== 'streaming' || header.type !== state.type) return this.#otherType(header, payload);
    this.#count(header, payload);
    return this.#deliver(payload, state.sink, state.type);
  }

  #firstFrame(header: FrameHeader, payload: Buffer): boolean {
    const before = this.#candidate;
    // The sensor may have changed while its first payload was on its way.
    const changed = before === undefined || this.#admission.facts.sensor(before.id) !== before.sensor;
    if (changed && !this.#firstHeader(header)) return false;
    const proof = this.#candidate;
    if (proof === undefined) return false;
    if (proof.keys.verify(header.bytes, header.at, payload)) return this.#prove(header, payload, proof);
    return this.#refuseClaimed('hmac-wrong', header.type);
  }

  #deliver(payload: Buffer, sink: PayloadSink, type: number): boolean {
    this.streamFrames += 1;
    this.streamBytes += payload.length;
    const refusal = payload.length === 0 ? undefined : sink.push(payload);
    return refusal === undefined || this.#refuseVerified(refusal, type);
  }

  #count(header: FrameHeader, payload: Buffer): void {
    this.frames += 1;
    this.bytes += payload.length;
    this.lastFrameAt = this.#now;
    const { timestamp } = header;
    if (timestamp > this.newestTimestamp) this.newestTimestamp = timestamp;
  }

  /** The first frame whose HMAC is right. */
  #prove(header: FrameHeader, payload: Buffer, proof: Candidate): boolean {
    const { type } = header;
    const registered = proof.sensor !== undefined;
    const refuse = (code: RefusalCode) => this.#refuse({ code, sensor: proof.id, verified: registered, type });
    const standing = this.#admission.standing(proof.sensor, type);
    if (standing !== undefined) return refuse(standing);
    if (type === WIRE_TYPE.declared) return refuse('no-meta-header');
    if (!registered && !this.#effects.enrol(proof.id)) return refuse('too-many-sensors');
    this.#count(header, payload);
    this.#effects.proved(proof.id);
    if (type === WIRE_TYPE.metaHeader) {
      const reader = new MetaHeaderReader();
      this.#state = { kind: 'meta-header', proof, type, reader };
      return this.#metaHeader(payload, proof, reader) && this.#declare(proof);
    }
    return this.#open(
      { sensor: proof.id, topic: String(type), type, metaHeader: undefined },
      proof,
      undefined,
      payload,
    );
  }

  /** After the first frame of a meta header: one that is complete has opened its stream already. */
  #declare(proof: Candidate): boolean {
    const refusal = this.#state.kind === 'meta-header' ? this.#effects.declaring(proof.id) : undefined;
    return refusal === undefined || this.#refuseVerified(refusal, WIRE_TYPE.metaHeader);
  }

  /** A verified frame of another type than the one before it; only the meta header may be followed by another. */
  #otherType(header: FrameHeader, payload: Buffer): boolean {
    const state = this.#state;
    if (state.kind !== 'meta-header' && state.kind !== 'streaming') return false;
    const { type } = header;
    const isMetaHeader = type === WIRE_TYPE.metaHeader;
    const standing = this.#admission.standing(state.proof.sensor, type);
    if (standing !== undefined) return this.#refuseVerified(standing, type);
    this.#count(header, payload);
    if (state.kind === 'meta-header') {
      if (isMetaHeader) return this.#metaHeader(payload, state.proof, state.reader);
      if (type !== WIRE_TYPE.declared) return this.#refuseVerified('type-changed', type);
      return this.#refuseVerified(state.reader.begun ? 'bad-meta-header' : 'no-meta-header', type);
    }
    if (!isMetaHeader || state.reader === undefined) return this.#refuseVerified('type-changed', type);
    if (isBlank(payload)) return true;
    return this.#refuseVerified(this.streamFrames === 0 ? 'bad-meta-header' : 'type-changed', type);
  }

  #metaHeader(payload: Buffer, proof: Candidate, reader: MetaHeaderReader): boolean {
    const header = reader.push(payload);
    if (header === 'incomplete') return true;
    if (header === 'bad') return this.#refuseVerified('bad-meta-header', WIRE_TYPE.metaHeader);
    const { type: topic, text: metaHeader } = header;
    const type = WIRE_TYPE.declared;
    const standing = this.#admission.standing(proof.sensor, type);
    if (standing !== undefined) return this.#refuseVerified(standing, type);
    if (!isDeclarable(topic, metaHeader) || !this.#admission.facts.accepts(topic)) {
      return this.#refuseVerified('meta-type-not-accepted', type);
    }
    return this.#open({ sensor: proof.id, topic, type, metaHeader }, proof, reader, undefined);
  }

  #open(
    start: StreamStart,
    proof: Candidate,
    reader: MetaHeaderReader | undefined,
    payload: Buffer | undefined,
  ): boolean {
    const sink = this.#effects.open(start);
    if (typeof sink === 'string') return this.#refuseVerified(sink, start.type);
    this.#state = { kind: 'streaming', proof, type: start.type, topic: start.topic, sink, reader };
    return payload === undefined || this.#deliver(payload, sink, start.type);
  }

  /** Verified where the frame is right under the key of either sensor; then it is the connection's sensor that did it. */
  #changedUuid(header: FrameHeader, payload: Buffer, proof: Candidate): boolean {
    const claimed = header.sensor;
    const keys = [proof.keys, this.#admission.candidate(claimed)?.keys];
    const verified = keys.some((key) => key?.verify(header.bytes, header.at, payload) === true);
    const sensor = verified ? proof.id : claimed;
    return this.#refuse({ code: 'uuid-changed', sensor, verified, type: header.type });
  }

  #refuseVerified(code: RefusalCode, type: number): false {
    return this.#refuse({ code, sensor: this.sensor, verified: true, type });
  }

  #refuseClaimed(code: RefusalCode, type?: number): false {
    return this.#refuse({ code, sensor: this.sensor, verified: false, type });
  }

  #refuse(refusal: Refusal): false {
    this.#state = OVER;
    this.#effects.refused(refusal);
    return false;
  }
}

/**
 * Whether a meta header may name a topic: a meta type, or, where servers that forward say what a stream has passed
 * (docs/exporters.md), a wire type that carries data without a meta header.
 */
export function isDeclarable(topic: string, metaHeader: string): boolean {
  if (isMetaTypeName(topic)) return true;
  const reserved: readonly string[] = [String(WIRE_TYPE.declared), String(WIRE_TYPE.metaHeader)];
  if (!/^[1-9][0-9]{0,2}$/.test(topic) || reserved.includes(topic)) return false;
  return Object.hasOwn(JSON.parse(metaHeader), FORWARDED_BY);
}
