import type { SensorLedger, ServerLedger } from '@d4ts/server';
import { table } from '../table.ts';
import { sizeText, terminalText, timeText } from './terminal-text.ts';

type Row = SensorLedger['rows'][number];

/** Hours or days as a table, the reasons of what was refused, lost, dropped or removed, and the gaps. */
export function ledgerText(ledger: SensorLedger | ServerLedger): string {
  if (ledger.rows.length === 0) return 'nothing came in that time\n';
  return [rows(ledger), reasons(ledger.rows), 'gaps' in ledger ? gaps(ledger) : '']
    .filter((part) => part !== '')
    .join('\n');
}

/** Whether it balances, and the sums that show it. */
export function balanceText(ledger: SensorLedger | ServerLedger): string {
  const streams = 'totals' in ledger ? ledger.totals : ledger.streams;
  const parts = [
    streamTable(
      'TYPE',
      streams.map((each) => ({ ...each, name: each.topic })),
    ),
  ];
  if ('topics' in ledger) {
    parts.push(topicTable(ledger));
    const { unbalanced } = ledger;
    if (unbalanced.length > 0) {
      parts.push(
        streamTable(
          'SENSOR, TYPE',
          unbalanced.map((each) => ({ ...each, name: `${each.sensor}, ${each.topic}` })),
        ),
      );
    }
  }
  parts.push(ledger.balances ? 'it balances\n' : 'it does not balance\n');
  return parts.filter((part) => part !== '').join('\n');
}

function rows({ rows, by }: SensorLedger | ServerLedger): string {
  return table(
    [
      'FROM (UTC)',
      'TYPE',
      'RECEIVED',
      'FRAMES',
      'REFUSED',
      'LOST',
      'GAPS',
      'JOURNALED',
      'RECORDS',
      'ARCHIVED',
      'QUEUED',
      'DELIVERED',
      'DROPPED',
      'REMOVED',
      'AGAIN',
      'SESSIONS',
    ],
    rows.map((row) => [
      timeText(row.start).slice(0, by === 'day' ? 10 : 16),
      terminalText(row.topic) || '-',
      sizeText(row.received.bytes),
      `${row.received.frames}`,
      `${row.refused.count}`,
      sizeText(row.lostBytes),
      row.gaps.count === 0 ? '-' : `${row.gaps.count}: ${sizeText(row.gaps.leftOutBytes + row.gaps.missingBytes)}`,
      sizeText(row.journaled.bytes),
      `${row.journaled.records}`,
      sizeText(row.archived.bytes),
      `${row.queued}`,
      `${row.delivered}`,
      `${row.dropped}`,
      row.removed.records + row.removed.files === 0
        ? '-'
        : `${row.removed.records} records, ${row.removed.files} files`,
      sizeText(row.duplicateBytes + row.resentBytes),
      `${row.sessions}`,
    ]),
  );
}

function reasons(rows: readonly Row[]): string {
  const sums = new Map<string, { kind: string; reason: string; count: number; bytes: number }>();
  for (const { kind, reason, count, bytes } of rows.flatMap((row) => row.reasons)) {
    const before = sums.get(`${kind} ${reason}`);
    const sum = { kind, reason, count: count + (before?.count ?? 0), bytes: bytes + (before?.bytes ?? 0) };
    sums.set(`${kind} ${reason}`, sum);
  }
  if (sums.size === 0) return '';
  return table(
    ['WHAT', 'REASON', 'COUNT', 'BYTES'],
    [...sums.values()]
      .sort((a, b) => (a.kind < b.kind ? -1 : a.kind > b.kind ? 1 : b.count - a.count))
      .map(({ kind, reason, count, bytes }) => [kind, terminalText(reason), `${count}`, sizeText(bytes)]),
  );
}

function gaps({ gaps }: SensorLedger): string {
  if (gaps.length === 0) return '';
  return table(
    ['GAP AT', 'TYPE', 'FROM BYTE', 'TO BYTE', 'WHAT', 'CAUSE', 'STREAM'],
    gaps.map((gap) => [
      timeText(gap.time),
      terminalText(gap.topic),
      `${gap.from ?? '-'}`,
      `${gap.to ?? '-'}`,
      gap.kind,
      terminalText(gap.cause),
      terminalText(gap.stream),
    ]),
  );
}

function streamTable(title: string, streams: readonly (SensorLedger['totals'][number] & { name: string })[]): string {
  if (streams.length === 0) return '';
  return table(
    [title, 'VERIFIED', 'JOURNALED', 'LEFT OUT', 'LOST', 'SENT AGAIN', 'ON ITS WAY', ''],
    streams.map((each) => [
      terminalText(each.name),
      `${each.verified}`,
      `${each.journaled}`,
      `${each.leftOut}`,
      `${each.lost}`,
      `${each.resent}`,
      `${each.inFlight}`,
      each.balances ? 'balances' : 'DOES NOT BALANCE',
    ]),
  );
}

function topicTable({ topics }: ServerLedger): string {
  if (topics.length === 0) return '';
  return table(
    ['TYPE', 'HELD BEFORE', 'JOURNALED', 'REMOVED', 'DAMAGED', 'HELD', 'MISSING', ''],
    topics.map((each) => [
      terminalText(each.topic),
      `${each.origin}`,
      `${each.journaled}`,
      `${each.removed}`,
      `${each.damaged}`,
      `${each.held}`,
      `${each.difference}`,
      each.balances ? 'balances' : 'DOES NOT BALANCE',
    ]),
  );
}
