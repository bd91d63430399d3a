import { randomBytes } from 'node:crypto';
import {
  D4Error,
  type EnrollAnswer,
  isClientTopic,
  newSensorId,
  parseEnrollToken,
  type SensorId,
  serverAddressText,
} from '@d4ts/protocol';
import type { ClientEnvironment } from '../environment.ts';
import { EnrollFolder, type Identity } from './enroll-folder.ts';
import { askToRegister, type ExchangeOptions, fetchAuthority } from './exchange.ts';

/** What the command line says. */
export interface EnrollOptions {
  readonly token: string;
  /** The configuration directory to be made. */
  readonly directory: string;
  /** A type's number or a meta type's name; what the token says, where it is not given. */
  readonly type?: string;
  /** What people are to call the sensor, where the token does not say it. */
  readonly name?: string;
  /** Through the SOCKS5 proxy of a local Tor. */
  readonly tor: boolean;
  readonly connectTimeoutMs: number;
}

/** A sensor that is registered, and whose configuration is written. */
export interface Enrolled {
  readonly uuid: SensorId;
  /** HOST:PORT */
  readonly server: string;
  /** SHA-256 of the authority that is pinned. */
  readonly caSha256: string;
  readonly state: 'approved' | 'pending' | 'revoked';
  readonly type: string;
  readonly name: string;
}

const KEY_BYTES = 32;
const MAX_NAME_LENGTH = 200;

/** What can go wrong once the server was asked. */
const ASKED: ReadonlySet<string> = new Set(['D4_ENROLL_LOST', 'D4_ENROLL_MESSAGE']);

/** What to do about a refusal, beyond what it says. */
const ADVICE: ReadonlyMap<string, string> = new Map([
  ['type-not-accepted', 'say another one with --type'],
  ['enroll-too-many-attempts', 'wait a minute'],
  ['enroll-uuid-taken', 'take another directory with -c'],
]);
const OTHERWISE = 'ask who gave you the token';

/**
 * Registers a new sensor with a token (docs/enrolment.md) and writes its configuration directory: checks the server by
 * the token's fingerprint, makes uuid and key, registers, pins the authority. May be repeated with the same token and
 * directory until it succeeds: it is the same sensor then.
 * @throws {D4Error} D4_USAGE, D4_BAD_TOKEN, D4_CONFIG (the directory), D4_ENROLL_REFUSED, D4_ENROLL_UNREACHABLE,
 *   D4_ENROLL_UNSUPPORTED, D4_ENROLL_OTHER_AUTHORITY, D4_ENROLL_UNTRUSTED, D4_ENROLL_LOST, D4_ENROLL_MESSAGE
 */
export async function enroll(
  options: EnrollOptions,
  { signal, socksProxy, greetingMs }: Pick<ClientEnvironment, 'signal' | 'socksProxy' | 'greetingMs'>,
): Promise<Enrolled> {
  const { type, name } = options;
  if (type !== undefined && !isClientTopic(type)) {
    throw new D4Error('D4_USAGE', `--type ${type} is none: a number such as 3, or the name of a meta type, is needed`);
  }
  if (name !== undefined && (name === '' || name.length > MAX_NAME_LENGTH)) {
    throw new D4Error('D4_USAGE', `--name takes 1 to ${MAX_NAME_LENGTH} characters`);
  }
  const token = parseEnrollToken(options.token);
  const folder = new EnrollFolder(options.directory, options.token);
  const exchange: ExchangeOptions = {
    ...(options.tor && { proxy: socksProxy }),
    connectTimeoutMs: options.connectTimeoutMs,
    answerTimeoutMs: greetingMs,
    signal,
  };
  const { secret, caSha256 } = token;
  const ca = await fetchAuthority(token, exchange);
  const identity = folder.earlier ?? newIdentity();
  await folder.begin(identity);
  const request = { secret, ...identity, ...(type !== undefined && { type }), ...(name !== undefined && { name }) };
  const answer = await askToRegister(token, ca, request, exchange).catch((error: unknown) => {
    const isAsked = error instanceof D4Error && ASKED.has(error.code);
    if (!isAsked) folder.undo();
    if (!isAsked || error.code !== 'D4_ENROLL_LOST') throw error;
    throw new D4Error(error.code, `${error.message}. ${repeatable(options.directory)}`, error);
  });
  if (answer.kind === 'refused') {
    folder.undo();
    throw refused(answer);
  }
  const server = serverAddressText(token.server);
  await folder.complete({ ...identity, topic: answer.type, destination: server, ca });
  const { uuid } = identity;
  return { uuid, server, caSha256, state: answer.state, type: answer.type, name: answer.name };
}

function newIdentity(): Identity {
  // Text, as the C and Go clients read it.
  return { uuid: newSensorId(), key: Buffer.from(randomBytes(KEY_BYTES).toString('base64url')) };
}

function repeatable(directory: string): string {
  return `The sensor may be registered all the same: repeat the command, with ${directory} as it is now, and it will be the same sensor`;
}

function refused({ code, text }: EnrollAnswer & { readonly kind: 'refused' }): D4Error {
  const what = /^[a-z0-9-]+$/.test(code) ? code : '?';
  return new D4Error(
    'D4_ENROLL_REFUSED',
    `the server refuses: ${oneLine(text)} (${what}): ${ADVICE.get(code) ?? OTHERWISE}`,
  );
}

/** What a server says never looks like lines of this program. */
function oneLine(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ');
}
