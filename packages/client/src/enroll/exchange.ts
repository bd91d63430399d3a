import { X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import {
  D4Error,
  ENROLL_ALPN,
  ENROLL_LIMITS,
  type EnrollAnswer,
  type EnrollRequest,
  type EnrollToken,
  encodeEnrollRequest,
  LineReader,
  parseEnrollAnswer,
  parseEnrollHello,
  serverAddressText,
} from '@d4ts/protocol';
import { agreedOn, dial, type Route, refusesAlpn } from '../dial.ts';
import { reasonOf } from '../network-trouble.ts';
import type { Trust } from '../trust.ts';

/** How to reach a server, and for how long to wait; ms. */
export interface ExchangeOptions {
  readonly proxy?: Route['proxy'];
  readonly connectTimeoutMs: number;
  /** For each word of the server. */
  readonly answerTimeoutMs: number;
  readonly signal: AbortSignal;
}

/**
 * Asks a server for its authority's certificate, and takes it if its SHA-256 is the one in the token. Nothing is sent.
 * @returns PEM, that one certificate alone
 * @throws {D4Error} D4_ENROLL_UNREACHABLE, D4_ENROLL_UNSUPPORTED, D4_ENROLL_OTHER_AUTHORITY, D4_ENROLL_MESSAGE
 */
export async function fetchAuthority(token: EnrollToken, options: ExchangeOptions): Promise<string> {
  const where = serverAddressText(token.server);
  const socket = await connect(token, { kind: 'unchecked' }, options).catch((cause: unknown) => {
    throw refusesAlpn(cause) ? unsupported(where) : unreachable(where, cause);
  });
  try {
    if (!agreedOn(socket, ENROLL_ALPN)) throw unsupported(where);
    const { ca } = await hello(socket, where, options);
    const authority = certificateIn(ca);
    const sha256 = authority.fingerprint256.replaceAll(':', '').toLowerCase();
    if (sha256 === token.caSha256) return authority.toString();
    throw new D4Error(
      'D4_ENROLL_OTHER_AUTHORITY',
      `what answers at ${where} is not the server that the token was made by: its authority has the SHA-256 ${sha256}, not ${token.caSha256}. Nothing was sent. Somebody is in between, or the server got another certificate since: ask for another token`,
    );
  } finally {
    socket.destroy();
  }
}

/**
 * Asks a server, once it has proved itself by the authority, to register a sensor.
 * @throws {D4Error} D4_ENROLL_UNREACHABLE, D4_ENROLL_UNTRUSTED: nothing was sent. D4_ENROLL_LOST: whether the sensor is
 *   registered is not known. D4_ENROLL_MESSAGE
 */
export async function askToRegister(
  token: EnrollToken,
  ca: string,
  request: EnrollRequest,
  options: ExchangeOptions,
): Promise<EnrollAnswer> {
  const where = serverAddressText(token.server);
  const socket = await connect(token, { kind: 'authority', ca }, options).catch((cause: unknown) => {
    if (cause instanceof D4Error || !(cause instanceof Error) || 'syscall' in cause) throw unreachable(where, cause);
    throw new D4Error(
      'D4_ENROLL_UNTRUSTED',
      `${where} cannot prove that it is the server: ${cause.message}. Nothing was sent`,
      cause,
    );
  });
  try {
    await hello(socket, where, options);
    socket.write(encodeEnrollRequest(request));
    const answer = await line(socket, ENROLL_LIMITS.answer, options).catch((cause: unknown) => {
      throw new D4Error('D4_ENROLL_LOST', `${where} did not answer: ${(cause as Error).message}`, cause);
    });
    return parseEnrollAnswer(answer);
  } finally {
    socket.destroy();
  }
}

function connect({ server }: EnrollToken, trust: Trust, options: ExchangeOptions): Promise<Socket> {
  const route: Route = {
    server: { kind: 'server', ...server },
    trust,
    alpn: ENROLL_ALPN,
    keepAliveMs: 0,
    timeoutMs: options.connectTimeoutMs,
    ...(options.proxy !== undefined && { proxy: options.proxy }),
  };
  return dial(route, options.signal);
}

async function hello(socket: Socket, where: string, options: ExchangeOptions): Promise<{ ca: string }> {
  const said = await line(socket, ENROLL_LIMITS.hello, options).catch((cause: unknown) => {
    throw unreachable(where, cause);
  });
  return parseEnrollHello(said);
}

/** The next line that a server sends. @throws where none comes in time */
async function line(socket: Socket, maxBytes: number, options: ExchangeOptions): Promise<Buffer> {
  const reader = new LineReader(maxBytes);
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const late = () => reject(new D4Error('D4_TIMEOUT', `nothing came for ${options.answerTimeoutMs / 1000} s`));
  const timer = setTimeout(late, options.answerTimeoutMs);
  const onData = (chunk: Buffer) => {
    try {
      const whole = reader.push(chunk);
      if (whole !== undefined) resolve(whole);
    } catch (error) {
      reject(error);
    }
  };
  const onClose = () => reject(new D4Error('D4_CLOSED', 'the connection was closed'));
  const onAbort = () => reject(new D4Error('D4_STOPPED', 'stopped'));
  socket.on('data', onData).on('end', onClose).on('close', onClose).resume();
  options.signal.addEventListener('abort', onAbort, { once: true });
  if (socket.destroyed || socket.readableEnded) onClose();
  if (options.signal.aborted) onAbort();
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    options.signal.removeEventListener('abort', onAbort);
    socket.off('data', onData).off('end', onClose).off('close', onClose).pause();
  }
}

function certificateIn(pem: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (cause) {
    throw new D4Error('D4_ENROLL_MESSAGE', "the server's authority is no certificate", cause);
  }
}

function unreachable(where: string, cause: unknown): D4Error {
  return new D4Error('D4_ENROLL_UNREACHABLE', `cannot reach ${where}: ${reasonOf(cause)}. Nothing was sent`, cause);
}

function unsupported(where: string): D4Error {
  return new D4Error(
    'D4_ENROLL_UNSUPPORTED',
    `what answers at ${where} takes no enrolments (${ENROLL_ALPN}): it is an older server, or none of ours. Ask for a configuration to download instead`,
  );
}
