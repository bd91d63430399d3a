import type { Readable } from 'node:stream';
import { D4Error, parseSensorId } from '@d4ts/protocol';
import Type from 'typebox';
import { formatFor } from '../formats/registry.ts';
import { RecordTail } from '../monitor/tail/record-tail.ts';
import type { ApiContext } from './api-context.ts';
import { notFound } from './api-errors.ts';
import { openEventStream } from './event-stream.ts';
import { LiveEvents, SENSOR_RATES } from './live-events.ts';
import type { ApiApp } from './route-types.ts';
import { UuidParam, words } from './schema-parts.ts';

/** Streams of this kind that may be open at a time. */
const MAX_CLIENTS = 500;
const MAX_TAILS = 50;
const MAX_WAITING_BYTES = 512 * 1024;
const BEAT_MS = 15_000;

const TailQuery = Type.Object(
  {
    topic: Type.Optional(Type.String({ maxLength: 64, description: 'Only this type' })),
    filter: Type.Optional(
      Type.String({ minLength: 1, maxLength: 200, description: 'Only records in which this stands, in either case' }),
    ),
  },
  { additionalProperties: false },
);

const EventQuery = Type.Object(
  {
    with: Type.Optional(
      words(
        [SENSOR_RATES],
        '`sensor-rates`: as well, each second, frames and bytes a second of each sensor that sends',
      ),
    ),
  },
  { additionalProperties: false },
);

/** `/api/v1/events`: what changes, as it happens (docs/monitoring.md). */
export function eventRoutes(app: ApiApp, context: ApiContext): void {
  const live = new LiveEvents(context);
  const open = new Set<() => void>();
  let tails = 0;
  app.addHook('preClose', async () => {
    live.close();
    for (const end of open) end();
  });

  app.get(
    '/events',
    {
      config: { access: 'viewer' },
      schema: {
        tags: ['monitoring'],
        operationId: 'watchEvents',
        summary:
          'What changes, as server-sent events: hello, rates, states, attention, refusals, knocks, pressure, disk',
        querystring: EventQuery,
        response: { 200: Type.Unsafe<Readable>({ type: 'string', description: 'text/event-stream' }) },
      },
    },
    async (request, reply) => {
      const extras = request.query.with === undefined ? [] : [request.query.with];
      const lastId = request.headers['last-event-id'];
      if (live.broadcast.clients >= MAX_CLIENTS) {
        throw new D4Error('D4_TOO_MANY_STREAMS', `${MAX_CLIENTS} streams of events are open already`);
      }
      const { to, over } = openEventStream(request, reply);
      const end = (): void => void to.end();
      open.add(end);
      const leave = live.broadcast.add(to, typeof lastId === 'string' ? lastId : undefined, live.hello(), extras);
      over.addEventListener('abort', () => {
        leave();
        open.delete(end);
      });
    },
  );

  app.get(
    '/sensors/:uuid/tail',
    {
      config: { access: 'user' },
      schema: {
        tags: ['monitoring'],
        operationId: 'watchSensorRecords',
        summary: 'What a sensor sends, as server-sent events: record, skipped; at most 50 records a second',
        params: UuidParam,
        querystring: TailQuery,
        response: { 200: Type.Unsafe<Readable>({ type: 'string', description: 'text/event-stream' }) },
      },
    },
    async (request, reply) => {
      const { topic, filter } = request.query;
      const sensor = parseSensorId(request.params.uuid);
      if (context.registry.sensors.get(sensor) === undefined) throw notFound(`no sensor ${sensor}`);
      if (tails >= MAX_TAILS) throw new D4Error('D4_TOO_MANY_STREAMS', `${MAX_TAILS} tails are open already`);
      tails += 1;
      const { to, over } = openEventStream(request, reply);
      const end = (): void => void to.end();
      open.add(end);
      const send = (event: string, data: object): void => {
        // Who does not read does not get it.
        if (to.writableLength < MAX_WAITING_BYTES) to.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
        else missed += 1;
      };
      let missed = 0;
      send('begin', { sensor, topic: topic ?? null });
      const tail = new RecordTail({
        journal: context.journal,
        formats: formatFor,
        sensor,
        topic,
        filter,
        onRecord: (record) => send('record', record),
        onSkipped: (count) => send('skipped', { count }),
      });
      const beating = setInterval(() => {
        if (missed > 0 && to.writableLength === 0) {
          const count = missed;
          missed = 0;
          send('skipped', { count });
        }
        if (to.writableLength === 0) to.write(': still here\n\n');
      }, BEAT_MS).unref();
      over.addEventListener('abort', () => {
        tails -= 1;
        clearInterval(beating);
        tail.close();
        open.delete(end);
      });
    },
  );
}
