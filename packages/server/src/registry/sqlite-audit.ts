import type { SQLOutputValue } from 'node:sqlite';
import type { AuditFilter, AuditPage, AuditRecord, AuditTrail } from './port.ts';
import type { CollectionStore } from './sqlite-collection.ts';
import { inTransaction } from './sqlite-format.ts';

/** Where a text is looked for. */
const TEXTS = ['actor', 'address', 'key', 'before', 'after'] as const;

/** Records that one call looks through at the most, for it holds up everything else: some 50 ms. */
const MAX_LOOKED_AT = 20_000;

/** The audit records in SQLite, where the collections write theirs too. */
export class SqliteAudit implements AuditTrail {
  readonly #store: CollectionStore;

  constructor(store: CollectionStore) {
    this.#store = store;
  }

  async record({ kind, key, actor, details }: Parameters<AuditTrail['record']>[0]): Promise<void> {
    const after = details === undefined ? null : JSON.stringify(details);
    this.#commit(() =>
      this.#store.database
        .prepare('INSERT INTO audit (time, actor, address, collection, key, after, event) VALUES (?, ?, ?, ?, ?, ?, 1)')
        .run(this.#store.now(), actor.name, actor.address ?? null, kind, key, after),
    );
  }

  list(filter: AuditFilter, limit: number, before?: number): AuditPage {
    try {
      const { first, last } = this.#range();
      const end = Math.min(before ?? Number.MAX_SAFE_INTEGER, last + 1);
      const start = end - MAX_LOOKED_AT;
      const conditions = conditionsOf(filter);
      const where = ['id < ?', 'id >= ?', ...conditions.map(({ sql }) => sql)].join(' AND ');
      const values = conditions.flatMap((condition) => condition.values);
      const records = this.#store.database
        .prepare(
          `SELECT id, time, actor, address, collection, key, before, after, event FROM audit WHERE ${where} ORDER BY id DESC LIMIT ?`,
        )
        .all(end, start, ...values, limit)
        .map(recordOf);
      const reached = records.length === limit ? (records.at(-1)?.id ?? end) : start;
      return { records, next: reached > first ? reached : undefined };
    } catch (error) {
      throw this.#store.failure(error);
    }
  }

  async prune(before: number, keep: number): Promise<number> {
    let removed = 0;
    this.#commit(() => {
      const old = this.#store.database.prepare('DELETE FROM audit WHERE time < ?').run(before);
      const surplus = this.#store.database
        .prepare('DELETE FROM audit WHERE id <= (SELECT id FROM audit ORDER BY id DESC LIMIT 1 OFFSET ?)')
        .run(keep);
      removed = Number(old.changes) + Number(surplus.changes);
    });
    return removed;
  }

  /** The ids of the first and the last record; 0 where there is none. */
  #range(): { first: number; last: number } {
    const row = this.#store.database.prepare('SELECT min(id) AS first, max(id) AS last FROM audit').get();
    return { first: Number(row?.first ?? 0), last: Number(row?.last ?? 0) };
  }

  #commit(work: () => void): void {
    try {
      inTransaction(this.#store.database, work);
    } catch (error) {
      throw this.#store.failure(error);
    }
  }
}

interface Condition {
  readonly sql: string;
  readonly values: readonly (string | number)[];
}

function conditionsOf({ actor, kind, key, from, to, text }: AuditFilter): Condition[] {
  const pattern = `%${text?.replaceAll(/[\\%_]/g, '\\$&')}%`;
  const inAny = `(${TEXTS.map((column) => `${column} LIKE ? ESCAPE '\\'`).join(' OR ')})`;
  const conditions: (Condition | undefined)[] = [
    actor === undefined ? undefined : { sql: 'actor = ?', values: [actor] },
    kind === undefined ? undefined : { sql: 'collection = ?', values: [kind] },
    key === undefined ? undefined : { sql: 'key = ?', values: [key] },
    from === undefined ? undefined : { sql: 'time >= ?', values: [from] },
    to === undefined ? undefined : { sql: 'time < ?', values: [to] },
    text === undefined ? undefined : { sql: inAny, values: TEXTS.map(() => pattern) },
  ];
  return conditions.filter((condition) => condition !== undefined);
}

function recordOf(row: Record<string, SQLOutputValue>): AuditRecord {
  return {
    id: Number(row.id),
    time: Number(row.time),
    actor: String(row.actor),
    address: row.address === null ? undefined : String(row.address),
    isEvent: row.event === 1,
    kind: String(row.collection),
    key: String(row.key),
    before: documentOf(row.before),
    after: documentOf(row.after),
  };
}

function documentOf(value: SQLOutputValue | undefined): unknown {
  if (typeof value !== 'string') return undefined;
  try {
    return JSON.parse(value);
  } catch {
    // Records carry no CRC of their own: one that is damaged must not hide those around it.
    return { damaged: value };
  }
}
