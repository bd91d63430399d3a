import type { AuditEntry, AuditPage } from '@d4ts/server';
import { type Command, Option } from 'commander';
import { table } from '../table.ts';
import { countArgument, timeArgument } from './arguments.ts';
import { changeText, subjectText } from './audit-text.ts';
import { managementCommand } from './management-command.ts';
import { print } from './output.ts';
import { terminalText, timeText } from './terminal-text.ts';

interface AuditOptions {
  readonly since?: number;
  readonly until?: number;
  readonly who?: string;
  readonly kind?: string;
  readonly key?: string;
  readonly text?: string;
  readonly limit: number;
  readonly export?: 'ndjson' | 'csv';
}

/** Adds `d4 audit`. */
export function registerAuditCommand(program: Command): void {
  const time = (text: string) => timeArgument(text, Date.now());
  managementCommand<[], AuditOptions>(
    program
      .command('audit')
      .description('who did what, from where; the latest first')
      .option('--since <TIME>', 'at or after, such as 2026-10-01, 24h (ago) or 7d (ago)', time)
      .option('--until <TIME>', 'before', time)
      .option('--who <MAIL>', 'only what they did; local for this command, server for the server itself')
      .option('--kind <KIND>', 'only of this kind, such as sensors, users or login-failed')
      .option('--key <KEY>', 'only about this uuid, mail address, …')
      .option('--text <TEXT>', 'only where this stands anywhere')
      .option('--limit <COUNT>', 'at most so many', countArgument(1, 100_000), 50)
      .addOption(
        new Option('--export <FORMAT>', 'all of it, without --limit, for another program').choices(['ndjson', 'csv']),
      ),
    async ({ api, show }, { limit, export: format, ...filter }) => {
      const query = queryOf(filter);
      if (format !== undefined) {
        query.set('format', format);
        for await (const bytes of api.download(`/audit/export?${query}`)) await print(bytes);
        return;
      }
      const items: AuditEntry[] = [];
      const names: AuditPage['names'] = {};
      for (let next: string | null = ''; next !== null && items.length < limit; ) {
        query.set('limit', String(Math.min(1_000, limit - items.length)));
        const page: AuditPage = await api.get<AuditPage>(`/audit?${query}`);
        items.push(...page.items);
        Object.assign(names, page.names);
        next = page.next;
        if (next !== null) query.set('after', next);
      }
      await show(items, () =>
        items.length === 0
          ? 'nothing was done that fits\n'
          : table(
              ['TIME', 'WHO', 'FROM', 'WHAT', 'WHICH', 'CHANGE'],
              items.map((entry) => [
                timeText(entry.time),
                terminalText(entry.who),
                entry.address ?? '-',
                entry.action === 'event' ? entry.kind : `${entry.kind} ${entry.action}`,
                subjectText(entry, names),
                changeText(entry, names),
              ]),
            ),
      );
    },
  );
}

function queryOf({ since, until, ...texts }: Omit<AuditOptions, 'limit' | 'export'>): URLSearchParams {
  const query = new URLSearchParams();
  if (since !== undefined) query.set('from', String(since));
  if (until !== undefined) query.set('to', String(until));
  for (const [name, value] of Object.entries(texts)) {
    if (typeof value === 'string' && ['who', 'kind', 'key', 'text'].includes(name)) query.set(name, value);
  }
  return query;
}
