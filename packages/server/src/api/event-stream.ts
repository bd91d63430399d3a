import type { ServerResponse } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { principalOf } from './authentication.ts';

/** How often whoever watches a stream is said to be there, in ms: their session does not end meanwhile. */
const TOUCH_MS = 30_000;

/**
 * Answers with a stream of server-sent events, until the client goes, or may not watch any more.
 * @returns where to write events, and a signal that it is over
 */
export function openEventStream(
  request: FastifyRequest,
  reply: FastifyReply,
): { to: ServerResponse; over: AbortSignal } {
  const principal = principalOf(request);
  const { raw } = reply.hijack();
  const over = new AbortController();
  const touching = setInterval(() => principal.touch(), TOUCH_MS).unref();
  const end = (): void => {
    raw.end();
  };
  raw.on('close', () => {
    clearInterval(touching);
    principal.signal.removeEventListener('abort', end);
    over.abort();
  });
  raw.on('error', () => {});
  principal.signal.addEventListener('abort', end, { once: true });
  raw.writeHead(200, {
    ...reply.getHeaders(),
    'content-type': 'text/event-stream; charset=utf-8',
    'x-accel-buffering': 'no',
  } as Record<string, string>);
  raw.flushHeaders();
  if (principal.signal.aborted) end();
  return { to: raw, over: over.signal };
}
