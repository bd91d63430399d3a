import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { D4Error, parseSensorId } from '@d4ts/protocol';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ClaimedItem, Queue } from '../queues/port.ts';
import type { ApiContext } from './api-context.ts';
import { notFound } from './api-errors.ts';
import { principalOf } from './authentication.ts';
import { openEventStream } from './event-stream.ts';
import { isCsrfTokenOf } from './people/login-sessions.ts';
import { itemView } from './queue-items.ts';
import {
  Acknowledged,
  NdjsonRecords,
  RecordEvents,
  type RecordFormat,
  RecordIds,
  RecordQuery,
  Records,
  type RecordView,
  Released,
} from './queue-record-schemas.ts';
import type { ApiApp, Principal } from './route-types.ts';
import { UuidParam } from './schema-parts.ts';
import { checkSameOrigin } from './session-cookie.ts';
import { whenSent } from './when-sent.ts';

const DEFAULT_LIMIT = 100;
const DEFAULT_VISIBILITY_S = 60;
/** Streams of records that may be open at a time. */
const MAX_STREAMS = 200;
/** What is handed out at a time in a stream. */
const STREAM_BATCH = 100;
const BEAT_MS = 15_000;

/** `/api/v1/queues/{uuid}/records`: items that are acknowledged when they are dealt with (docs/consumers.md). */
export function queueRecordRoutes(app: ApiApp, { queues, log }: ApiContext): void {
  const tags = ['queues'];
  const open = new Set<() => void>();
  app.addHook('preClose', async () => {
    for (const end of [...open]) end();
  });

  app.get(
    '/queues/:uuid/records',
    {
      config: { access: 'queue' },
      schema: {
        tags,
        operationId: 'takeRecords',
        summary: 'The oldest records, until they are acknowledged; as JSON, NDJSON or server-sent events',
        params: UuidParam,
        querystring: RecordQuery,
        response: {
          200: {
            description: 'Records; as NDJSON one on each line, as server-sent events one in each event `record`',
            content: {
              'application/json': { schema: Records },
              'application/x-ndjson': { schema: NdjsonRecords },
              'text/event-stream': { schema: RecordEvents },
            },
          },
        },
      },
    },
    async (request, reply) => {
      const queue = queueAt(request.params.uuid);
      const { limit = DEFAULT_LIMIT, wait = 0, visibility = DEFAULT_VISIBILITY_S } = request.query;
      const principal = principalOf(request);
      checkNoForeignPage(request, principal);
      const ms = visibility * 1_000;
      const format = request.query.format ?? formatOf(request.headers.accept);
      if (format === 'sse') return stream(request, reply, queue, limit, ms);
      const claimed = await claimWhenThere(queue, principal, { limit, ms, waitMs: wait * 1_000 }, reply.raw);
      whenSent(reply.raw, () => queue.release(claimed.map(({ id }) => id)));
      const items = claimed.map(recordView);
      if (format === 'json') return reply.send({ items, length: queue.length, claimed: queue.info().claimed });
      const lines = items.map((item) => `${JSON.stringify(item)}\n`).join('');
      return reply.header('content-type', 'application/x-ndjson').serializer(String).send(lines);
    },
  );

  app.post(
    '/queues/:uuid/acknowledge',
    {
      config: { access: 'queue' },
      schema: {
        tags,
        operationId: 'acknowledgeRecords',
        summary: 'Records are dealt with, and do not come again',
        params: UuidParam,
        body: RecordIds,
        response: { 200: Acknowledged },
      },
    },
    (request, reply) => {
      const { settled, unknown } = queueAt(request.params.uuid).acknowledge(unique(request.body.ids));
      reply.send({ acknowledged: settled, unknown: [...unknown] });
    },
  );

  app.post(
    '/queues/:uuid/release',
    {
      config: { access: 'queue' },
      schema: {
        tags,
        operationId: 'releaseRecords',
        summary: 'Records could not be dealt with: they are delivered again, at once',
        params: UuidParam,
        body: RecordIds,
        response: { 200: Released },
      },
    },
    (request, reply) => {
      const { settled, unknown } = queueAt(request.params.uuid).release(unique(request.body.ids));
      reply.send({ released: settled, unknown: [...unknown] });
    },
  );

  /** Waits for records, and claims them. None where the client goes. */
  async function claimWhenThere(
    queue: Queue,
    principal: Principal,
    { limit, ms, waitMs }: { limit: number; ms: number; waitMs: number },
    response: ServerResponse,
  ): Promise<ClaimedItem[]> {
    const over = new AbortController();
    const end = (): void => over.abort();
    open.add(end);
    response.once('close', end);
    principal.signal.addEventListener('abort', end, { once: true });
    const until = performance.now() + waitMs;
    try {
      for (;;) {
        const arrival = nextArrival(queue, over.signal, until - performance.now());
        try {
          const claimed = await queue.claim(limit, ms);
          if (claimed.length > 0 || performance.now() >= until) return claimed;
          if (over.signal.aborted || !mayGoOn(queue, principal)) return [];
          await arrival.promise;
        } finally {
          arrival.cancel();
        }
      }
    } finally {
      open.delete(end);
      response.off('close', end);
      principal.signal.removeEventListener('abort', end);
    }
  }

  /** Sends records as they come, as long as not too many are without acknowledgement. */
  async function stream(
    request: FastifyRequest,
    reply: FastifyReply,
    queue: Queue,
    limit: number,
    ms: number,
  ): Promise<void> {
    if (open.size >= MAX_STREAMS) {
      throw new D4Error('D4_TOO_MANY_STREAMS', `${MAX_STREAMS} consumers wait for records already`);
    }
    const principal = principalOf(request);
    const { to, over } = openEventStream(request, reply);
    const end = (): void => void to.end();
    open.add(end);
    const beat = setInterval(() => to.write(': beat\n\n'), BEAT_MS).unref();
    let held: string[] = [];
    try {
      while (!over.aborted && !to.writableEnded && mayGoOn(queue, principal)) {
        held = held.filter((id) => queue.isClaimed(id));
        const arrival = nextArrival(queue, over, BEAT_MS);
        try {
          const room = Math.min(STREAM_BATCH, limit - held.length);
          const claimed = room > 0 ? await claimIfAny(queue, room, ms) : [];
          for (const item of claimed) {
            held.push(item.id);
            to.write(`event: record\nid: ${item.id}\ndata: ${JSON.stringify(recordView(item))}\n\n`);
          }
          if (claimed.length === 0) await arrival.promise;
          else if (to.writableNeedDrain) await once(to, 'drain', { signal: over }).catch(() => {});
        } finally {
          arrival.cancel();
        }
      }
    } catch (error) {
      log.warn({ err: error, queue: queue.uuid }, 'a stream of records has ended');
    } finally {
      clearInterval(beat);
      open.delete(end);
      to.end();
      // Nobody is there any more to acknowledge what it has read last; others need not wait for that.
      queue.release(held);
    }
  }

  function mayGoOn(queue: Queue, principal: Principal): boolean {
    return queues.get(queue.uuid) === queue && principal.isCurrent?.() !== false && !principal.signal.aborted;
  }

  function queueAt(text: string): Queue {
    const uuid = parseSensorId(text);
    const queue = queues.get(uuid);
    if (queue === undefined) throw notFound(`no queue ${uuid}`);
    return queue;
  }
}

/** None where consumers have too many: some of them will be acknowledged. */
async function claimIfAny(queue: Queue, count: number, ms: number): Promise<ClaimedItem[]> {
  try {
    return await queue.claim(count, ms);
  } catch (error) {
    if (error instanceof D4Error && error.code === 'D4_TOO_MANY_CLAIMED') return [];
    throw error;
  }
}

/** A browser sends its cookie along with whatever a page asks for, and taking records is a change. */
function checkNoForeignPage(request: FastifyRequest, { via, session }: Principal): void {
  if (via !== 'session' || session === undefined) return;
  checkSameOrigin(request);
  const given = request.headers['x-csrf-token'];
  if (typeof given === 'string' && isCsrfTokenOf(session.secret, given)) return;
  throw new D4Error(
    'D4_CSRF',
    'taking records with a session needs its x-csrf-token header, which GET /api/v1/session tells',
  );
}

/** Resolved when items may have come, after so long, or when it is over: whatever comes first. */
function nextArrival(queue: Queue, over: AbortSignal, ms: number): { promise: Promise<void>; cancel(): void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, Math.max(0, ms)).unref();
  const stopListening = queue.onItems(resolve);
  const end = (): void => resolve();
  over.addEventListener('abort', end, { once: true });
  const cancel = (): void => {
    clearTimeout(timer);
    stopListening();
    over.removeEventListener('abort', end);
  };
  return { promise, cancel };
}

function formatOf(accept = ''): RecordFormat {
  if (accept.includes('text/event-stream')) return 'sse';
  return /application\/(x-)?ndjson/.test(accept) ? 'ndjson' : 'json';
}

function recordView({ id, item, delivery }: ClaimedItem): RecordView {
  return { id, ...itemView(item), delivery };
}

function unique(ids: readonly string[]): string[] {
  return [...new Set(ids)];
}
