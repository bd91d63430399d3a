import { D4Error } from '../errors.ts';
import { type SensorId, sensorIdAt, sensorIdBytes } from '../sensor-id.ts';

/** The name by which client and server agree on acknowledged streams in the TLS handshake (ALPN). */
export const ACK_ALPN = 'd4-ack/1';

/** What a message is; the number is its first byte. */
export const ACK_TYPE = {
  challenge: 1,
  open: 2,
  accept: 3,
  refuse: 4,
  resume: 5,
  data: 6,
  gap: 7,
  end: 8,
  ack: 9,
} as const;
export type AckType = (typeof ACK_TYPE)[keyof typeof ACK_TYPE];

/** Bytes of a message before its body (type, length of the body), and behind it (MAC). */
export const ACK_HEAD_BYTES = 5;
export const ACK_MAC_BYTES = 16;
/** Bytes of a nonce, and of a stream's id. */
export const ACK_NONCE_BYTES = 32;
const STREAM_ID_BYTES = 16;

/** The most that the bodies of messages may hold, in bytes. */
export const ACK_LIMITS = {
  /** Stream bytes in one DATA; a server may allow less (ACCEPT). */
  dataBytes: 256 * 1024,
  /** The least that a server must allow in one DATA: with less, both would be busy with nothing but messages. */
  leastDataBytes: 1024,
  metaHeaderBytes: 100_000,
  preambleBytes: 256 * 1024,
  /** Cause of a GAP, code of a REFUSE. */
  wordBytes: 64,
  /** Text of a REFUSE. */
  textBytes: 1024,
} as const;

const CHALLENGE_BYTES = ACK_NONCE_BYTES + 8;
const OPEN_FIXED_BYTES = 16 + 1 + 16 + ACK_NONCE_BYTES + 8 + 8 + 4 + 16 + 1 + 4 + 4;
const ACCEPT_BYTES = 8 + 1 + 4 + 4;
const RESUME_BYTES = 12;
const GAP_FIXED_BYTES = 8 + 8 + 4 + 1;
const END_BYTES = 9;
const ACK_BYTES = 9;
/** Bytes of a DATA before the stream's. */
const DATA_OFFSET_BYTES = 8;

/** The shortest and the longest body of each message, in bytes. */
const BODY_BYTES: Readonly<Record<AckType, readonly [number, number]>> = {
  [ACK_TYPE.challenge]: [CHALLENGE_BYTES, CHALLENGE_BYTES],
  [ACK_TYPE.open]: [OPEN_FIXED_BYTES, OPEN_FIXED_BYTES + ACK_LIMITS.metaHeaderBytes + ACK_LIMITS.preambleBytes],
  [ACK_TYPE.accept]: [ACCEPT_BYTES, ACCEPT_BYTES],
  [ACK_TYPE.refuse]: [4, 3 + ACK_LIMITS.wordBytes + ACK_LIMITS.textBytes],
  [ACK_TYPE.resume]: [RESUME_BYTES, RESUME_BYTES],
  [ACK_TYPE.data]: [DATA_OFFSET_BYTES + 1, DATA_OFFSET_BYTES + ACK_LIMITS.dataBytes],
  [ACK_TYPE.gap]: [GAP_FIXED_BYTES + 1, GAP_FIXED_BYTES + ACK_LIMITS.wordBytes],
  [ACK_TYPE.end]: [END_BYTES, END_BYTES],
  [ACK_TYPE.ack]: [ACK_BYTES, ACK_BYTES],
};

/** Server, first of all: what the client's OPEN has to be made with. */
export interface AckChallenge {
  readonly nonce: Buffer;
  /** How long the server waits for the whole OPEN, and how often it sends an ACK at the least, in ms. */
  readonly openTimeoutMs: number;
  readonly heartbeatMs: number;
}

/** Why a stream names another one. */
export const PREVIOUS_CAUSE = {
  none: 0,
  /** The client was started anew: nobody goes on with the stream named, and the server may end it. */
  restarted: 1,
  /** The stream named was refused as `stream-ahead`, `stream-forked`, `stream-ended` or `stream-not-yours`. */
  refused: 2,
} as const;
export type PreviousCause = (typeof PREVIOUS_CAUSE)[keyof typeof PREVIOUS_CAUSE];

/** Client: which stream it wants to go on with, and from where it can. Offsets are in bytes of the stream. */
export interface AckOpen {
  readonly sensor: SensorId;
  /** Wire type; 254 with a meta header, never 2. */
  readonly type: number;
  /** 32 hexadecimal digits. */
  readonly stream: string;
  readonly nonce: Buffer;
  /** The first byte that the client still has, and the one behind the last. */
  readonly from: number;
  readonly end: number;
  /** CRC-32 of the stream up to `from`. */
  readonly crc: number;
  /** The stream before this one: 32 hexadecimal digits. */
  readonly previous: string | undefined;
  readonly previousCause: PreviousCause;
  /** JSON; empty unless the type is 254. */
  readonly metaHeader: Buffer;
  /** What a reader must have seen before `from`, such as the pcap global header; may be empty. */
  readonly preamble: Buffer;
}

/** Whether an accepted stream goes on, or had ended there before. */
export const ACCEPT_STATE = { open: 0, ended: 1 } as const;
export type AcceptState = (typeof ACCEPT_STATE)[keyof typeof ACCEPT_STATE];

/** Server: the stream goes on from there. */
export interface AckAccept {
  /** Committed and synced up to here: the client sends from here. */
  readonly offset: number;
  readonly state: AcceptState;
  /** The most stream bytes in one DATA. */
  readonly maxDataBytes: number;
  /** The longest record of the format: so much may stay unacknowledged until it is whole. */
  readonly maxRecordBytes: number;
}

/** Server: no, or no more; it closes after this. */
export interface AckRefuse {
  /** A `RefusalCode`, or one that a newer server knows. */
  readonly code: string;
  /** For people. */
  readonly text: string;
}

/** Client, after each ACCEPT: it has the same stream. */
export interface AckResume {
  readonly offset: number;
  /** CRC-32 of the stream up to `offset`. */
  readonly crc: number;
}

/** Client: bytes of the stream. */
export interface AckData {
  readonly offset: number;
  readonly bytes: readonly Buffer[];
}

/** Client: bytes `[from, to)` will never come. */
export interface AckGap {
  readonly from: number;
  readonly to: number;
  /** From here on both take this for the CRC-32 of the stream up to `to`. */
  readonly crc: number;
  /** A word such as `spool-full`: letters, digits and `-`. */
  readonly cause: string;
}

/** How a stream ended: as its source did, or because the client was killed. */
export const END_CAUSE = { complete: 0, aborted: 1 } as const;
export type EndCause = (typeof END_CAUSE)[keyof typeof END_CAUSE];

/** Client: the stream is so long. */
export interface AckEnd {
  readonly total: number;
  readonly cause: EndCause;
}

/** How the server is: reading; not reading for now (it is behind, or the sensor is over its rate or quota); done. */
export const ACK_STATE = { reading: 0, holding: 1, ended: 2 } as const;
export type AckState = (typeof ACK_STATE)[keyof typeof ACK_STATE];

/** Server: everything before `offset` is committed and synced. */
export interface AckAcknowledge {
  readonly offset: number;
  readonly state: AckState;
}

const EMPTY = Buffer.alloc(0);
const NO_STREAM = '0'.repeat(2 * STREAM_ID_BYTES);
const STREAM_ID = /^[0-9a-f]{32}$/;
const WORD = /^[A-Za-z0-9-]{1,64}$/;

/** Whether a text is the id of a stream: 32 hexadecimal digits, not all of them zero. */
export function isStreamId(text: string): boolean {
  return STREAM_ID.test(text) && text !== NO_STREAM;
}

/** The type in a message's first byte; undefined where there is none with this number. */
export function ackTypeOf(byte: number): AckType | undefined {
  return byte >= ACK_TYPE.challenge && byte <= ACK_TYPE.ack ? (byte as AckType) : undefined;
}

/** Whether a body of that type may be so long. */
export function fitsAckType(type: AckType, bodyBytes: number): boolean {
  const [least, most] = BODY_BYTES[type];
  return bodyBytes >= least && bodyBytes <= most;
}

/** The body of a CHALLENGE. */
export function challengeBody({ nonce, openTimeoutMs, heartbeatMs }: AckChallenge): Buffer {
  const body = Buffer.alloc(CHALLENGE_BYTES);
  nonceIn(nonce).copy(body);
  body.writeUInt32LE(openTimeoutMs, ACK_NONCE_BYTES);
  body.writeUInt32LE(heartbeatMs, ACK_NONCE_BYTES + 4);
  return body;
}

/** @throws {D4Error} D4_ACK_MESSAGE, as all that read a body */
export function readChallenge(body: Buffer): AckChallenge {
  checkLength(ACK_TYPE.challenge, body);
  return {
    nonce: Buffer.from(body.subarray(0, ACK_NONCE_BYTES)),
    openTimeoutMs: body.readUInt32LE(ACK_NONCE_BYTES),
    heartbeatMs: body.readUInt32LE(ACK_NONCE_BYTES + 4),
  };
}

/** The body of an OPEN. @throws {D4Error} D4_ACK_MESSAGE where it has no place for what it is to hold */
export function openBody(open: AckOpen): Buffer {
  const { metaHeader, preamble, previous } = open;
  if (metaHeader.length > ACK_LIMITS.metaHeaderBytes)
    throw malformed('OPEN', `a meta header of ${metaHeader.length} bytes`);
  if (preamble.length > ACK_LIMITS.preambleBytes) throw malformed('OPEN', `a preamble of ${preamble.length} bytes`);
  const fixed = Buffer.alloc(OPEN_FIXED_BYTES);
  let at = sensorIdBytes(open.sensor).copy(fixed);
  at = fixed.writeUInt8(open.type, at);
  at += streamIdBytes(open.stream).copy(fixed, at);
  at += nonceIn(open.nonce).copy(fixed, at);
  at = writeOffset(fixed, open.from, at);
  at = writeOffset(fixed, open.end, at);
  at = fixed.writeUInt32LE(open.crc, at);
  at += (previous === undefined ? Buffer.alloc(STREAM_ID_BYTES) : streamIdBytes(previous)).copy(fixed, at);
  at = fixed.writeUInt8(open.previousCause, at);
  at = fixed.writeUInt32LE(metaHeader.length, at);
  fixed.writeUInt32LE(preamble.length, at);
  return Buffer.concat([fixed, metaHeader, preamble]);
}

/** Reads the body of an OPEN. Its buffers are views of `body`. */
export function readOpen(body: Buffer): AckOpen {
  checkLength(ACK_TYPE.open, body);
  const stream = body.toString('hex', 17, 33);
  const previous = body.toString('hex', 85, 101);
  const metaBytes = body.readUInt32LE(102);
  const preambleBytes = body.readUInt32LE(106);
  const metaEnd = OPEN_FIXED_BYTES + metaBytes;
  if (metaBytes > ACK_LIMITS.metaHeaderBytes || preambleBytes > ACK_LIMITS.preambleBytes) {
    throw malformed('OPEN', `a meta header of ${metaBytes} bytes or a preamble of ${preambleBytes} is over the limit`);
  }
  if (metaEnd + preambleBytes !== body.length) throw malformed('OPEN', 'the lengths of its parts do not fit its own');
  if (!isStreamId(stream)) throw malformed('OPEN', 'the stream has no id');
  const open: AckOpen = {
    sensor: sensorIdAt(body),
    type: body.readUInt8(16),
    stream,
    nonce: body.subarray(33, 65),
    from: readOffset(body, 65),
    end: readOffset(body, 73),
    crc: body.readUInt32LE(81),
    previous: isStreamId(previous) ? previous : undefined,
    previousCause: oneOf(PREVIOUS_CAUSE, body.readUInt8(101), 'OPEN'),
    metaHeader: body.subarray(OPEN_FIXED_BYTES, metaEnd),
    preamble: body.subarray(metaEnd),
  };
  if (open.end < open.from) throw malformed('OPEN', `the stream ends at ${open.end}, before ${open.from}`);
  return open;
}

/** The client's nonce in an OPEN that may not have been read yet. */
export function nonceOfOpen(body: Buffer): Buffer {
  checkLength(ACK_TYPE.open, body);
  return body.subarray(33, 65);
}

/** The sensor and the type that an OPEN claims to be of, before its MAC is checked. */
export function claimOfOpen(body: Buffer): { sensor: SensorId; type: number } {
  checkLength(ACK_TYPE.open, body);
  return { sensor: sensorIdAt(body), type: body.readUInt8(16) };
}

/** The body of an ACCEPT. */
export function acceptBody({ offset, state, maxDataBytes, maxRecordBytes }: AckAccept): Buffer {
  const body = Buffer.alloc(ACCEPT_BYTES);
  let at = body.writeUInt8(state, writeOffset(body, offset, 0));
  at = body.writeUInt32LE(maxDataBytes, at);
  body.writeUInt32LE(maxRecordBytes, at);
  return body;
}

/** Reads the body of an ACCEPT. */
export function readAccept(body: Buffer): AckAccept {
  checkLength(ACK_TYPE.accept, body);
  return {
    offset: readOffset(body, 0),
    state: oneOf(ACCEPT_STATE, body.readUInt8(8), 'ACCEPT'),
    maxDataBytes: body.readUInt32LE(9),
    maxRecordBytes: body.readUInt32LE(13),
  };
}

/** The body of a REFUSE. */
export function refuseBody({ code, text }: AckRefuse): Buffer {
  const word = wordBytes('REFUSE', code);
  const words = Buffer.from(text, 'utf8').subarray(0, ACK_LIMITS.textBytes);
  const lengths = Buffer.alloc(2);
  lengths.writeUInt16LE(words.length);
  return Buffer.concat([Buffer.from([word.length]), word, lengths, words]);
}

/** Reads the body of a REFUSE. The text is the server's: it may hold anything. */
export function readRefuse(body: Buffer): AckRefuse {
  checkLength(ACK_TYPE.refuse, body);
  const codeEnd = 1 + body.readUInt8(0);
  if (codeEnd + 2 > body.length || codeEnd + 2 + body.readUInt16LE(codeEnd) !== body.length) {
    throw malformed('REFUSE', 'the lengths of its parts do not fit its own');
  }
  return { code: wordIn('REFUSE', body.subarray(1, codeEnd)), text: body.toString('utf8', codeEnd + 2) };
}

/** The body of a RESUME. */
export function resumeBody({ offset, crc }: AckResume): Buffer {
  const body = Buffer.alloc(RESUME_BYTES);
  body.writeUInt32LE(crc, writeOffset(body, offset, 0));
  return body;
}

/** Reads the body of a RESUME. */
export function readResume(body: Buffer): AckResume {
  checkLength(ACK_TYPE.resume, body);
  return { offset: readOffset(body, 0), crc: body.readUInt32LE(8) };
}

/** The offset in front of the stream bytes of a DATA. */
export function dataOffset(offset: number): Buffer {
  const bytes = Buffer.alloc(DATA_OFFSET_BYTES);
  writeOffset(bytes, offset, 0);
  return bytes;
}

/** Reads the body of a DATA, without a copy of the stream's bytes. @param body in pieces, as the decoder hands it out */
export function readData(body: readonly Buffer[]): AckData {
  const [first = EMPTY, ...rest] = body;
  if (first.length > DATA_OFFSET_BYTES) {
    return { offset: readOffset(first, 0), bytes: [first.subarray(DATA_OFFSET_BYTES), ...rest] };
  }
  const whole = wholeBody(body);
  if (whole.length <= DATA_OFFSET_BYTES) throw malformed('DATA', 'there is nothing in it');
  return { offset: readOffset(whole, 0), bytes: [whole.subarray(DATA_OFFSET_BYTES)] };
}

/** The body of a GAP. */
export function gapBody({ from, to, crc, cause }: AckGap): Buffer {
  const word = wordBytes('GAP', cause);
  const fixed = Buffer.alloc(GAP_FIXED_BYTES);
  let at = writeOffset(fixed, to, writeOffset(fixed, from, 0));
  at = fixed.writeUInt32LE(crc, at);
  fixed.writeUInt8(word.length, at);
  return Buffer.concat([fixed, word]);
}

/** Reads the body of a GAP. */
export function readGap(body: Buffer): AckGap {
  checkLength(ACK_TYPE.gap, body);
  const from = readOffset(body, 0);
  const to = readOffset(body, 8);
  if (to <= from) throw malformed('GAP', `it ends at ${to} and begins at ${from}`);
  if (GAP_FIXED_BYTES + body.readUInt8(20) !== body.length) throw malformed('GAP', 'its cause has another length');
  return { from, to, crc: body.readUInt32LE(16), cause: wordIn('GAP', body.subarray(GAP_FIXED_BYTES)) };
}

/** The body of an END. */
export function endBody({ total, cause }: AckEnd): Buffer {
  const body = Buffer.alloc(END_BYTES);
  body.writeUInt8(cause, writeOffset(body, total, 0));
  return body;
}

/** Reads the body of an END. */
export function readEnd(body: Buffer): AckEnd {
  checkLength(ACK_TYPE.end, body);
  return { total: readOffset(body, 0), cause: oneOf(END_CAUSE, body.readUInt8(8), 'END') };
}

/** The body of an ACK. */
export function ackBody({ offset, state }: AckAcknowledge): Buffer {
  const body = Buffer.alloc(ACK_BYTES);
  body.writeUInt8(state, writeOffset(body, offset, 0));
  return body;
}

/** Reads the body of an ACK. */
export function readAck(body: Buffer): AckAcknowledge {
  checkLength(ACK_TYPE.ack, body);
  return { offset: readOffset(body, 0), state: oneOf(ACK_STATE, body.readUInt8(8), 'ACK') };
}

/** A message's body as one buffer; copies only what lies in several pieces. */
export function wholeBody(pieces: readonly Buffer[]): Buffer {
  const [first = EMPTY] = pieces;
  return pieces.length <= 1 ? first : Buffer.concat(pieces);
}

function checkLength(type: AckType, body: Buffer): void {
  if (!fitsAckType(type, body.length)) throw malformed(nameOf(type), `a body of ${body.length} bytes`);
}

function nameOf(type: AckType): string {
  const [name = String(type)] = Object.entries(ACK_TYPE).find(([, number]) => number === type) ?? [];
  return name.toUpperCase();
}

function malformed(message: string, what: string): D4Error {
  return new D4Error('D4_ACK_MESSAGE', `a ${message} message is malformed: ${what}`);
}

function oneOf<N extends number>(allowed: Readonly<Record<string, N>>, value: number, message: string): N {
  const found = Object.values(allowed).find((number) => number === value);
  if (found === undefined) throw malformed(message, `it has a state or cause of ${value}`);
  return found;
}

function wordBytes(message: string, text: string): Buffer {
  if (!WORD.test(text)) throw malformed(message, `"${text}" is no word`);
  return Buffer.from(text, 'latin1');
}

function wordIn(message: string, bytes: Buffer): string {
  const text = bytes.toString('latin1');
  if (!WORD.test(text)) throw malformed(message, 'its code or cause is no word');
  return text;
}

function nonceIn(nonce: Buffer): Buffer {
  if (nonce.length === ACK_NONCE_BYTES) return nonce;
  throw malformed('CHALLENGE or OPEN', `a nonce of ${nonce.length} bytes instead of ${ACK_NONCE_BYTES}`);
}

function streamIdBytes(id: string): Buffer {
  if (!isStreamId(id)) throw malformed('OPEN', `"${id}" is not the id of a stream`);
  return Buffer.from(id, 'hex');
}

function writeOffset(target: Buffer, offset: number, at: number): number {
  if (!Number.isSafeInteger(offset) || offset < 0) {
    throw new D4Error(
      'D4_ACK_MESSAGE',
      `${offset} is no offset in a stream: expected a whole number from 0 to 2^53 - 1`,
    );
  }
  target.writeUInt32LE(offset >>> 0, at);
  return target.writeUInt32LE(Math.floor(offset / 0x1_0000_0000), at + 4);
}

function readOffset(source: Buffer, at: number): number {
  const offset = source.readUInt32LE(at) + source.readUInt32LE(at + 4) * 0x1_0000_0000;
  if (!Number.isSafeInteger(offset)) throw new D4Error('D4_ACK_MESSAGE', 'an offset in a message is 2^53 or more');
  return offset;
}
