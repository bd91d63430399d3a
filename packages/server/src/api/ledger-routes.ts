import { parseSensorId } from '@d4ts/protocol';
import { streamBalance, streamBalances, topicBalances } from '../monitor/ledger/balance.ts';
import { ALL_SENSORS } from '../monitor/ledger/ledger.ts';
import type { GapRow, Row } from '../monitor/ledger/ledger-store.ts';
import { countsOf, DAY_MS } from '../monitor/ledger/measures.ts';
import type { ApiContext } from './api-context.ts';
import { notFound } from './api-errors.ts';
import {
  type LedgerQuery,
  LedgerQuery as LedgerQuerySchema,
  type LedgerRow,
  SensorLedger,
  ServerLedger,
} from './ledger-schemas.ts';
import type { ApiApp } from './route-types.ts';
import { UuidParam } from './schema-parts.ts';

const MAX_GAPS = 1_000;
const MAX_UNBALANCED = 100;

/** `/api/v1/ledger`, `/api/v1/sensors/{uuid}/ledger`: what came, and what became of it (docs/ledger.md). */
export function ledgerRoutes(app: ApiApp, context: ApiContext): void {
  const { registry, monitor, journal } = context;
  const { ledger } = monitor;
  const tags = ['monitoring'];

  app.get(
    '/ledger',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        operationId: 'getLedger',
        summary: 'What came from all sensors by type, what became of it, and whether it balances',
        querystring: LedgerQuerySchema,
        response: { 200: ServerLedger },
      },
    },
    async ({ query }) => {
      await monitor.caughtUp();
      const range = rangeOf(query, context.now());
      const all = { sensor: ALL_SENSORS, topic: query.topic };
      const rows = (await ledger.rows(all, range.by, range.from, range.to)).map(rowView);
      const isWanted = ({ topic }: { topic: string }): boolean => query.topic === undefined || topic === query.topic;
      const unbalanced = streamBalances(ledger).filter((each) => !each.balances && isWanted(each));
      const topics = topicBalances(ledger, journal).filter(isWanted);
      const streams = ledger.of(ALL_SENSORS).filter(isWanted).map(streamBalance);
      const open = new Set([...ledger.all()].filter((series) => series.open > 0).map(({ topic }) => topic));
      return {
        ...range,
        rows,
        topics,
        streams: streams
          .filter(({ verified, journaled }) => verified + journaled > 0)
          .map((each) => ({ ...each, balances: each.inFlight === 0 || (open.has(each.topic) && each.inFlight > 0) })),
        unbalanced: unbalanced.slice(0, MAX_UNBALANCED),
        balances: unbalanced.length === 0 && topics.every(({ balances }) => balances),
      };
    },
  );

  app.get(
    '/sensors/:uuid/ledger',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        operationId: 'getSensorLedger',
        summary: 'What came from a sensor, what became of it, its gaps, and whether it balances',
        params: UuidParam,
        querystring: LedgerQuerySchema,
        response: { 200: SensorLedger },
      },
    },
    async ({ params, query }) => {
      const uuid = parseSensorId(params.uuid);
      const series = ledger.of(uuid);
      if (registry.sensors.get(uuid) === undefined && series.length === 0) throw notFound(`no sensor ${uuid}`);
      await monitor.caughtUp();
      const { by, from, to } = rangeOf(query, context.now());
      const rows = (await ledger.rows({ sensor: uuid, topic: query.topic }, by, from, to)).map(rowView);
      const totals = ledger
        .of(uuid)
        .filter(({ topic }) => topic !== '' && (query.topic === undefined || topic === query.topic))
        .map(streamBalance);
      const gaps = (await ledger.gaps(uuid, query.topic, from, to, MAX_GAPS)).map(gapView);
      return { uuid, by, from, to, rows, totals, gaps, balances: totals.every(({ balances }) => balances) };
    },
  );
}

function rangeOf(
  { from, to, by = 'hour' }: LedgerQuery,
  now: number,
): { by: 'hour' | 'day'; from: number; to: number } {
  const end = to ?? now;
  return { by, from: from ?? Math.max(0, end - (by === 'hour' ? DAY_MS : 30 * DAY_MS)), to: end };
}

/** A row of the ledger as the interface shows it. */
function rowView({ topic, row }: { topic: string; row: Row }): LedgerRow {
  const counts = countsOf(row.values);
  return {
    start: row.start,
    topic,
    received: {
      frames: counts.frames + counts.refused,
      bytes: counts.bytes + counts.refusedBytes + counts.unfinishedBytes,
    },
    verified: { frames: counts.frames, bytes: counts.bytes },
    refused: { count: counts.refused, bytes: counts.refusedBytes },
    unfinishedBytes: counts.unfinishedBytes,
    duplicateBytes: counts.duplicateBytes,
    sessions: counts.sessions,
    journaled: { records: counts.records, bytes: counts.journaledBytes },
    gaps: { count: counts.gaps, leftOutBytes: counts.leftOutBytes, missingBytes: counts.missingBytes },
    lostBytes: counts.lostBytes,
    resentBytes: counts.resentBytes,
    archived: { bytes: counts.archivedBytes, files: counts.archivedFiles, fileBytes: counts.archivedFileBytes },
    queued: counts.queued,
    delivered: counts.delivered,
    dropped: counts.dropped,
    removed: {
      records: counts.removedRecords,
      bytes: counts.removedBytes,
      files: counts.removedFiles,
      fileBytes: counts.removedFileBytes,
    },
    damagedRecords: counts.damagedRecords,
    reasons: row.reasons.toSorted((a, b) => (`${a.kind} ${a.reason}` < `${b.kind} ${b.reason}` ? -1 : 1)),
  };
}

function gapView({ time, topic, stream, from, to, cause, kind }: GapRow) {
  const bytes = from === undefined || to === undefined ? null : to - from;
  return { time, topic, stream, from: from ?? null, to: to ?? null, bytes, cause, kind: kind as 'damage' };
}
