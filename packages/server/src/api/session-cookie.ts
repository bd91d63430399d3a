import { D4Error } from '@d4ts/protocol';
import type { FastifyReply, FastifyRequest } from 'fastify';

/** The prefix makes browsers take it only over TLS, for this host alone, from this host alone (RFC 6265bis, 4.1.3.2). */
const NAME = '__Host-d4';
const ATTRIBUTES = 'Path=/; Secure; HttpOnly; SameSite=Strict';

/** The secret in the request's cookie, if it has one. */
export function cookieSecret(request: Pick<FastifyRequest, 'headers'>): string | undefined {
  for (const part of (request.headers.cookie ?? '').split(';')) {
    const [name, value] = part.split('=', 2);
    if (name?.trim() === NAME) return value?.trim() || undefined;
  }
  return undefined;
}

/** Gives the browser a session's secret, for as long as it is open but no longer than the session can last. */
export function setCookie(reply: FastifyReply, secret: string, maxAgeMs: number): void {
  reply.header('set-cookie', `${NAME}=${secret}; Max-Age=${Math.floor(maxAgeMs / 1000)}; ${ATTRIBUTES}`);
}

/** Takes the secret away from the browser. */
export function clearCookie(reply: FastifyReply): void {
  reply.header('set-cookie', `${NAME}=; Max-Age=0; ${ATTRIBUTES}`);
}

/**
 * Refuses what a page of another origin sends by way of a browser. Other programs say nothing of an origin.
 * @throws {D4Error} D4_CSRF
 */
export function checkSameOrigin({ headers }: Pick<FastifyRequest, 'headers'>): void {
  const site = headers['sec-fetch-site'];
  const { origin, host } = headers;
  const isOther = (site !== undefined && site !== 'same-origin') || (origin !== undefined && !isOrigin(origin, host));
  if (isOther)
    throw new D4Error('D4_CSRF', 'the request comes from a page of another origin, which may change nothing');
}

function isOrigin(origin: string, host: string | undefined): boolean {
  return URL.canParse(origin) && URL.canParse(`https://${host}`)
    ? new URL(origin).origin === new URL(`https://${host}`).origin
    : false;
}
