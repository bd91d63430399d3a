import { Readable } from 'node:stream';
import { D4Error } from '@d4ts/protocol';
import Type from 'typebox';
import type { AuditFilter, AuditRecord, Registry } from '../registry/port.ts';
import type { ApiContext } from './api-context.ts';
import { type AuditEntry, AuditExportQuery, AuditPage, AuditQuery } from './audit-schemas.ts';
import { actorOf } from './authentication.ts';
import { csvLine } from './csv.ts';
import { namesIn } from './display-names.ts';
import type { ApiApp } from './route-types.ts';

const DEFAULT_LIMIT = 100;
const EXPORT_PAGE = 1_000;
const COLUMNS = ['id', 'time', 'who', 'address', 'action', 'kind', 'key', 'before', 'after'] as const;

/** `/api/v1/audit`: what was done, by whom and from where. */
export function auditRoutes(app: ApiApp, { registry, now }: ApiContext): void {
  const tags = ['audit'];

  app.get(
    '/audit',
    {
      config: { access: 'admin' },
      schema: {
        tags,
        operationId: 'listAudit',
        summary: 'What was done, the latest first; kept for two years',
        querystring: AuditQuery,
        response: { 200: AuditPage },
      },
    },
    ({ query }, reply) => {
      const { limit = DEFAULT_LIMIT, after, ...filter } = query;
      const { records, next } = registry.audit.list(filterFrom(filter), limit, cursorOf(after));
      const items = records.map(entryOf);
      const names = namesIn(
        registry,
        items.flatMap(({ key, before, after }) => [key, before, after]),
      );
      reply.send({ items, next: next === undefined ? null : String(next), names });
    },
  );

  app.get(
    '/audit/export',
    {
      config: { access: 'admin' },
      schema: {
        tags,
        operationId: 'exportAudit',
        summary: 'All of what was done that the filters let through, the latest first, as a file',
        querystring: AuditExportQuery,
        response: { 200: Type.Unsafe<Readable>({ type: 'string', format: 'binary' }) },
      },
    },
    async (request, reply) => {
      const { format = 'ndjson', ...filter } = request.query;
      await registry.audit.record({ kind: 'audit-exported', key: format, actor: actorOf(request), details: filter });
      const day = new Date(now()).toISOString().slice(0, 10);
      return reply
        .header('content-disposition', `attachment; filename="d4-audit-${day}.${format}"`)
        .type(format === 'csv' ? 'text/csv; charset=utf-8; header=present' : 'application/x-ndjson')
        .send(Readable.from(exported(registry, filterFrom(filter), format)));
    },
  );
}

/** Page after page, so that the rest of the server is not held up. */
async function* exported(registry: Registry, filter: AuditFilter, format: 'ndjson' | 'csv'): AsyncGenerator<string> {
  if (format === 'csv') yield csvLine(COLUMNS);
  let before: number | undefined;
  do {
    const { records, next } = registry.audit.list(filter, EXPORT_PAGE, before);
    const lines = records.map(entryOf).map(format === 'csv' ? csvOf : (entry) => `${JSON.stringify(entry)}\n`);
    if (lines.length > 0) yield lines.join('');
    await new Promise(setImmediate);
    before = next;
  } while (before !== undefined);
}

function csvOf(entry: AuditEntry): string {
  return csvLine(
    COLUMNS.map((column) => {
      const value = entry[column];
      if (value === null) return '';
      if (column === 'time') return new Date(entry.time).toISOString();
      return typeof value === 'object' ? JSON.stringify(value) : String(value);
    }),
  );
}

function entryOf({ id, time, actor, address, isEvent, kind, key, before, after }: AuditRecord): AuditEntry {
  return {
    id,
    time,
    who: actor,
    address: address ?? null,
    action: isEvent ? 'event' : before === undefined ? 'added' : after === undefined ? 'removed' : 'changed',
    kind,
    key,
    before: documentOf(before),
    after: documentOf(after),
  };
}

function documentOf(value: unknown): object | null {
  return typeof value === 'object' ? value : null;
}

function filterFrom({ who, ...filter }: Omit<AuditQuery, 'limit' | 'after'>): AuditFilter {
  return { ...filter, ...(who !== undefined && { actor: who }) };
}

function cursorOf(after: string | undefined): number | undefined {
  if (after === undefined) return undefined;
  if (/^[1-9]\d{0,14}$/.test(after)) return Number(after);
  throw new D4Error('D4_BAD_REQUEST', 'querystring/after is not the `next` of an answer');
}
