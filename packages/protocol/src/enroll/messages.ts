import { isUtf8 } from 'node:buffer';
import { D4Error } from '../errors.ts';
import { type SensorId, sensorIdFrom } from '../sensor-id.ts';
import { isClientTopic } from './client-files.ts';
import { ENROLL_SECRET_BYTES } from './token.ts';

/** The name by which client and server agree on an enrolment in the TLS handshake (ALPN). */
export const ENROLL_ALPN = 'd4-enroll/1';

/** The longest messages, in bytes without their newline. */
export const ENROLL_LIMITS = {
  /** It holds certificates. */
  hello: 64 * 1024,
  request: 4 * 1024,
  answer: 4 * 1024,
} as const;

const MAX_KEY_BYTES = 1_023;
const MAX_NAME_LENGTH = 200;
const MAX_TEXT_LENGTH = 1_000;

/** Server, first of all: the authority that signed its certificate, PEM. The client compares its SHA-256 with the token's. */
export interface EnrollHello {
  readonly ca: string;
}

/** Client, once the server is proved: who it wants to be. */
export interface EnrollRequest {
  readonly secret: Buffer;
  readonly uuid: SensorId;
  /** The bytes of the HMAC key, 1 to 1,023 of them. */
  readonly key: Buffer;
  /** What it sends: a type's number or a meta type's name. Where it is not said, the token's. */
  readonly type?: string;
  /** What people are to call it. */
  readonly name?: string;
}

/** Server: what came of it. */
export type EnrollAnswer =
  | {
      readonly kind: 'registered';
      readonly uuid: SensorId;
      /** Whether it may send, or waits for somebody to approve it. */
      readonly state: 'approved' | 'pending' | 'revoked';
      readonly type: string;
      /** What people call it; may be empty. */
      readonly name: string;
    }
  /** `code` is a `RefusalCode`, or one that a newer server knows; `text` is for people. */
  | { readonly kind: 'refused'; readonly code: string; readonly text: string };

/** One line of JSON with its newline. */
export function encodeEnrollHello({ ca }: EnrollHello): string {
  return line({ ca });
}

/** One line of JSON with its newline. */
export function encodeEnrollRequest({ secret, uuid, key, type, name }: EnrollRequest): string {
  return line({ secret: secret.toString('base64url'), uuid, key: key.toString('base64'), type, name });
}

/** One line of JSON with its newline. */
export function encodeEnrollAnswer(answer: EnrollAnswer): string {
  if (answer.kind === 'refused') return line({ refused: { code: answer.code, text: answer.text } });
  const { uuid, state, type, name } = answer;
  return line({ registered: { uuid, state, type, name } });
}

/** @throws {D4Error} D4_ENROLL_MESSAGE */
export function parseEnrollHello(bytes: Buffer): EnrollHello {
  const { ca } = objectIn(bytes);
  if (typeof ca !== 'string' || !ca.includes('-----BEGIN CERTIFICATE-----')) throw malformed('"ca" is no certificate');
  return { ca };
}

/** Knows every member of a request: one that it does not know is an error. @throws {D4Error} D4_ENROLL_MESSAGE */
export function parseEnrollRequest(bytes: Buffer): EnrollRequest {
  const { secret, uuid: uuidText, key: keyText, type, name, ...others } = objectIn(bytes);
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) throw malformed('a member of the request is not known');
  const secretBytes = decoded(secret, 'base64url');
  if (secretBytes?.length !== ENROLL_SECRET_BYTES) throw malformed(`"secret" is not ${ENROLL_SECRET_BYTES} bytes`);
  const uuid = typeof uuidText === 'string' ? sensorIdFrom(uuidText) : undefined;
  if (uuid === undefined) throw malformed('"uuid" is no UUID');
  const key = decoded(keyText, 'base64');
  if (key === undefined || key.length === 0 || key.length > MAX_KEY_BYTES) throw malformed('"key" is no key');
  return {
    secret: secretBytes,
    uuid,
    key,
    ...(type !== undefined && { type: topicOf(type) }),
    ...(name !== undefined && { name: textOf(name, 'name', MAX_NAME_LENGTH) }),
  };
}

/** @throws {D4Error} D4_ENROLL_MESSAGE */
export function parseEnrollAnswer(bytes: Buffer): EnrollAnswer {
  const { registered, refused } = objectIn(bytes);
  if (isObject(refused)) {
    const { code, text } = refused;
    return { kind: 'refused', code: textOf(code, 'code', 64), text: textOf(text, 'text', MAX_TEXT_LENGTH) };
  }
  if (!isObject(registered)) throw malformed('it says neither "registered" nor "refused"');
  const { uuid: uuidText, state, type, name } = registered;
  const uuid = typeof uuidText === 'string' ? sensorIdFrom(uuidText) : undefined;
  if (uuid === undefined) throw malformed('"uuid" is no UUID');
  if (state !== 'approved' && state !== 'pending' && state !== 'revoked') throw malformed('"state" is none');
  return {
    kind: 'registered',
    uuid,
    state,
    type: topicOf(type),
    name: name === '' ? '' : textOf(name, 'name', MAX_NAME_LENGTH + 20),
  };
}

function line(message: object): string {
  return `${JSON.stringify(message)}\n`;
}

function objectIn(bytes: Buffer): Record<string, unknown> {
  let parsed: unknown;
  try {
    if (isUtf8(bytes)) parsed = JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    throw malformed('it is not JSON', error);
  }
  if (!isObject(parsed)) throw malformed('it is not one JSON object in UTF-8');
  return parsed;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Undefined where it is not exactly what the encoding makes of some bytes. */
function decoded(text: unknown, encoding: 'base64' | 'base64url'): Buffer | undefined {
  if (typeof text !== 'string') return undefined;
  const bytes = Buffer.from(text, encoding);
  return bytes.toString(encoding) === text ? bytes : undefined;
}

function topicOf(type: unknown): string {
  if (typeof type === 'string' && isClientTopic(type)) return type;
  throw malformed('"type" is neither a type number nor the name of a meta type');
}

function textOf(value: unknown, name: string, maxLength: number): string {
  if (typeof value === 'string' && value.length >= 1 && value.length <= maxLength) return value;
  throw malformed(`"${name}" is no text of 1 to ${maxLength} characters`);
}

function malformed(why: string, cause?: unknown): D4Error {
  return new D4Error('D4_ENROLL_MESSAGE', `a message of enrolment is malformed: ${why}`, cause);
}
