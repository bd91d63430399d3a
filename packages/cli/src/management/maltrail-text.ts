import type { ExporterView, MaltrailEventPage, MaltrailSummary, ThreatPage } from '@d4ts/server';
import { table } from '../table.ts';
import { factList } from './fact-list.ts';
import { terminalText, timeText } from './terminal-text.ts';

const MAX_SENSORS = 3;

/** Threats as a table. */
export function threatTable(threats: ThreatPage['items']): string {
  if (threats.length === 0) return 'no threat was found\n';
  return table(
    ['SEVERITY', 'SOURCE', 'TYPE', 'TRAIL', 'INFO', 'SENSORS', 'EVENTS', 'FIRST', 'LAST'],
    threats.map(({ severity, source, type, trail, info, sensors, events, first, last }) => [
      ...[severity, source, type].map(terminalText),
      ...[trail, info, sensorsText(sensors)].map(terminalText),
      ...[`${events}`, timeText(first), timeText(last)],
    ]),
  );
}

/** Events as a table: the line itself says the rest. */
export function eventTable(events: MaltrailEventPage['items']): string {
  if (events.length === 0) return 'no event was found\n';
  return table(
    ['CAME', 'SEVERITY', 'EVENT'],
    events.map(({ time, severity, line }) => [timeText(time), severity, terminalText(line)]),
  );
}

/** What was found, in numbers. */
export function summaryText(summary: MaltrailSummary, exporters: readonly ExporterView[]): string {
  const { bySeverity, byType, bySensor, threats, total } = summary;
  const withheld = exporters.map(({ name, leftOut }) => `${terminalText(name)} ${leftOut}`).join(', ');
  return factList([
    ['events in 30 days', `${summary.events}`],
    ['by severity', `high ${bySeverity.high}, medium ${bySeverity.medium}, low ${bySeverity.low}`],
    ['by type', byType.map(({ type, events }) => `${terminalText(type)} ${events}`).join(', ') || '-'],
    ['sensors with events', `${bySensor.length}`],
    ['threats', `${threats}`],
    ['events in all', `${total.events}`],
    ['lines that are no events', `${total.others}`],
    ['withheld since the start', withheld || '-'],
    ['forgotten threats', `${total.tooOld} too old, ${total.tooMany} too many`],
    ['not read in time', `${total.missed}`],
  ]);
}

function sensorsText(sensors: ThreatPage['items'][number]['sensors']): string {
  const names = sensors.slice(0, MAX_SENSORS).map(({ name }) => name);
  const more = sensors.length - names.length;
  return more > 0 ? `${names.join(', ')}, ${more} more` : names.join(', ');
}
