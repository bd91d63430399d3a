import type { ExporterView } from '@d4ts/server';
import { table } from '../table.ts';
import { factList } from './fact-list.ts';
import { terminalText, timeText } from './terminal-text.ts';

/** Exporters as a table. */
export function exporterTable(exporters: readonly ExporterView[]): string {
  if (exporters.length === 0) return 'there is no exporter: make one with "d4 exporter add NAME TYPE KIND"\n';
  return table(
    ['NAME', 'TYPE', 'TO', 'STATE', 'LAG', 'RATE', 'DELIVERED', 'LOST', 'PROBLEM'],
    exporters.map((exporter) => [
      exporter.name,
      terminalText(exporter.topic),
      terminalText(targetText(exporter)),
      exporter.state,
      `${exporter.lag}`,
      rateText(exporter),
      `${exporter.delivered}`,
      `${exporter.lost}`,
      terminalText(exporter.problem ?? ''),
    ]),
  );
}

/** All about one exporter. */
export function exporterText(exporter: ExporterView): string {
  const { lastError } = exporter;
  return factList([
    ['name', exporter.name],
    ['type', terminalText(exporter.topic)],
    ['to', terminalText(targetText(exporter))],
    ['settings', terminalText(settingsText(exporter))],
    ['headers', exporter.headers.map(terminalText).join(', ') || '-'],
    ['sensors', exporter.sensors === null ? 'all' : exporter.sensors.join(' ')],
    ['description', terminalText(exporter.description) || '-'],
    ['declared', exporter.declared ? 'in d4.yaml' : 'no'],
    ['state', exporter.state],
    ['problem', terminalText(exporter.problem ?? '-')],
    ['last error', lastError === null ? '-' : `${timeText(lastError.at)} ${terminalText(lastError.text)}`],
    ['lag', `${exporter.lag}`],
    ['rate', rateText(exporter)],
    ['delivered', `${exporter.delivered}`],
    ['skipped', `${exporter.skipped}`],
    ['lost', `${exporter.lost}`],
    ['left out', `${exporter.leftOut}`],
    ['errors', `${exporter.errors}`],
    ['sent again', `${exporter.repeated}`],
    ['remark', terminalText(exporter.remark) || '-'],
    ['made', timeText(exporter.createdAt)],
  ]);
}

function targetText({ target }: ExporterView): string {
  if ('url' in target) return `${target.kind} ${target.url}`;
  const address =
    'host' in target && target.host !== undefined ? hostPort(target) : ('path' in target && target.path) || '';
  return `${target.kind} ${address}`;
}

function hostPort({ host = '', port }: { readonly host?: string; readonly port?: number }): string {
  const name = host.includes(':') ? `[${host}]` : host;
  return port === undefined ? name : `${name}:${port}`;
}

function settingsText({ target }: ExporterView): string {
  return Object.entries(target)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ');
}

function rateText({ rate }: ExporterView): string {
  return `${rate >= 10 ? Math.round(rate) : Math.round(rate * 10) / 10}/s`;
}
