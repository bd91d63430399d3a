import { D4Error, parseSensorId } from '@d4ts/protocol';
import { SEVERITIES, type Severity } from '../formats/maltrail-event.ts';
import type { FoundEvent } from '../maltrail/event-search.ts';
import type { ListedThreat } from '../maltrail/maltrail.ts';
import type { ApiContext } from './api-context.ts';
import {
  MaltrailEventPage,
  MaltrailEventQuery,
  type MaltrailEventView,
  MaltrailSummary,
  MaltrailSummaryQuery,
  ThreatPageView,
  ThreatQuery,
  type ThreatView,
} from './maltrail-schemas.ts';
import type { ApiApp } from './route-types.ts';

const DEFAULT_LIMIT = 100;
const DAY_MS = 86_400_000;
const SUMMARY_DAYS = 30;

/** `/api/v1/maltrail`: what the sensors of a Maltrail network have found (docs/maltrail.md). */
export function maltrailRoutes(app: ApiApp, { maltrail, now }: ApiContext): void {
  const tags = ['maltrail'];

  app.get(
    '/maltrail/threats',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        operationId: 'listMaltrailThreats',
        summary: 'Threats: events by source and trail, those seen last first',
        querystring: ThreatQuery,
        response: { 200: ThreatPageView },
      },
    },
    async ({ query }) => {
      await maltrail.caughtUp();
      const { sort: order = 'last', direction = 'descending', limit = DEFAULT_LIMIT, after } = query;
      const place = placeOf(after, order);
      const list = { order, descending: direction === 'descending', limit };
      const page = await maltrail.threats(filterFrom(query), {
        ...list,
        ...(place && { after: { place: place[0], id: place[1] } }),
      });
      return {
        items: page.threats.map(threatView),
        next: page.next ? nextOf(order, page.next.place, page.next.id) : null,
      };
    },
  );

  app.get(
    '/maltrail/events',
    {
      config: { access: 'user' },
      schema: {
        tags,
        operationId: 'listMaltrailEvents',
        summary:
          'Events as they came, the oldest first: of the last day if not said otherwise, as far as the journal has them',
        querystring: MaltrailEventQuery,
        response: { 200: MaltrailEventPage },
      },
    },
    async ({ query }) => {
      const to = query.to ?? now();
      const from = query.from ?? Math.max(0, to - DAY_MS);
      const place = placeOf(query.after, 'event');
      const filter = { ...filterFrom(query), from, to };
      const after = place && { sequence: place[0], record: place[1] };
      const { events, next, heldFrom } = await maltrail.events(filter, query.limit ?? DEFAULT_LIMIT, after);
      return {
        items: events.map(eventView),
        next: next === undefined ? null : nextOf('event', next.sequence, next.record),
        heldFrom: heldFrom ?? null,
        ...{ from, to },
      };
    },
  );

  app.get(
    '/maltrail/summary',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        operationId: 'getMaltrailSummary',
        summary: 'Events by severity, type, sensor and day',
        querystring: MaltrailSummaryQuery,
        response: { 200: MaltrailSummary },
      },
    },
    async ({ query }) => {
      await maltrail.caughtUp();
      const to = query.to ?? now();
      const { byType, bySensor, byDay, ...summary } = maltrail.summary(
        query.from ?? Math.max(0, to - SUMMARY_DAYS * DAY_MS),
        to,
      );
      const { threats, events, others, missed, tooOld, tooMany } = maltrail.counts;
      const lists = { byType: [...byType], bySensor: [...bySensor], byDay: [...byDay] };
      return { ...summary, ...lists, threats, total: { events, others, missed, tooOld, tooMany } };
    },
  );
}

function filterFrom({ from, to, source, trail, severity, sensor, text }: MaltrailEventQuery) {
  return {
    ...(from !== undefined && { from }),
    ...(to !== undefined && { to }),
    ...(source !== undefined && { source }),
    ...(trail !== undefined && { trail }),
    ...(severity !== undefined && {
      severities: severity.split(',').map((each) => SEVERITIES.indexOf(each as Severity)),
    }),
    ...(sensor !== undefined && { sensor: parseSensorId(sensor) }),
    ...(text !== undefined && { text }),
  };
}

/** @throws {D4Error} D4_BAD_REQUEST where `after` is not of a list in that order */
function placeOf(after: string | undefined, order: string): [number, number] | undefined {
  if (after === undefined) return undefined;
  const [, of, first, second] = /^([a-z]+):(\d{1,16}):(\d{1,16})$/.exec(after) ?? [];
  if (of !== order)
    throw new D4Error('D4_BAD_REQUEST', 'querystring/after is not the `next` of an answer with the same order');
  return [Number(first), Number(second)];
}

function nextOf(order: string, first: number, second: number): string {
  return `${order}:${first}:${second}`;
}

function threatView({ id: _, place: __, severity, sightings, ...threat }: ListedThreat): ThreatView {
  return { ...threat, severity: SEVERITIES[severity] ?? 'medium', sensors: [...sightings] };
}

function eventView({ line, event, severity, sensor, time }: FoundEvent): MaltrailEventView {
  const { sensor: sensorName, ...fields } = event;
  return { time, sensor, severity: SEVERITIES[severity] ?? 'medium', sensorName, ...fields, line };
}
