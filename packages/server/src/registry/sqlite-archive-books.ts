import type { SQLOutputValue } from 'node:sqlite';
import { parseSensorId, type SensorId } from '@d4ts/protocol';
import type { ArchiveBooks, ArchiveBooksChange, ArchiveHolding, ArchiveRemoval } from './port.ts';
import { rowCrc } from './row-check.ts';
import type { CollectionStore } from './sqlite-collection.ts';
import { inTransaction } from './sqlite-format.ts';

/** Where the files that are to be unlinked are noted, among the progress of the roles. */
const UNLINKING = 'retention unlinking';
const HOUR_MS = 60 * 60 * 1000;

type Row = Record<string, SQLOutputValue>;

/** The books of the archive in SQLite: the sums in memory too, the rest is looked up. */
export class SqliteArchiveBooks implements ArchiveBooks {
  readonly #store: CollectionStore;
  readonly #holdings = new Map<string, ArchiveHolding>();
  readonly #counted = new Map<string, number>();
  #unlinking: readonly string[];

  constructor(store: CollectionStore) {
    this.#store = store;
    const { database } = store;
    for (const row of database.prepare('SELECT * FROM archive_holding').iterate()) {
      const holding = holdingOf(row);
      this.#holdings.set(keyOf(holding.topic, holding.sensor), holding);
    }
    for (const row of database.prepare('SELECT topic, before FROM archive_counted').iterate()) {
      this.#counted.set(String(row.topic), Number(row.before));
    }
    const unlinking = database.prepare('SELECT value FROM progress WHERE role = ?').get(UNLINKING);
    this.#unlinking = unlinking === undefined ? [] : (JSON.parse(String(unlinking.value)) as string[]);
  }

  holdings(): IterableIterator<ArchiveHolding> {
    return this.#holdings.values();
  }

  holding(topic: string, sensor: SensorId): ArchiveHolding | undefined {
    return this.#holdings.get(keyOf(topic, sensor));
  }

  countedBefore(topic: string): number {
    return this.#counted.get(topic) ?? 0;
  }

  references(path: string): number {
    const row = this.#store.database.prepare('SELECT count FROM archive_reference WHERE path = ?').get(path);
    return row === undefined ? 0 : Number(row.count);
  }

  unlinking(): readonly string[] {
    return this.#unlinking;
  }

  removalOf(topic: string, sensor: SensorId, sequence: number): ArchiveRemoval | undefined {
    if (sequence >= (this.holding(topic, sensor)?.nextSequence ?? 0)) return undefined;
    const row = this.#store.database
      .prepare(
        'SELECT * FROM archive_removal WHERE topic = ? AND sensor = ? AND before > ? ORDER BY before, hour LIMIT 1',
      )
      .get(topic, sensor, sequence);
    return row === undefined ? undefined : removalOf(row);
  }

  save(change: ArchiveBooksChange): void {
    const { holdings, counted, unlinking } = change;
    try {
      inTransaction(this.#store.database, () => this.#write(change));
    } catch (error) {
      throw this.#store.failure(error);
    }
    for (const holding of holdings) this.#holdings.set(keyOf(holding.topic, holding.sensor), holding);
    if (counted !== undefined) this.#counted.set(counted.topic, counted.before);
    if (unlinking !== undefined) this.#unlinking = unlinking;
  }

  #write({ holdings, counted, references = [], removals = [], unlinking }: ArchiveBooksChange): void {
    const { database } = this.#store;
    const saveHolding = database.prepare('INSERT OR REPLACE INTO archive_holding VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)');
    for (const each of holdings) {
      const { topic, sensor, files, bytes, streamBytes, nextSequence, oldest, removedFiles, removedBytes } = each;
      saveHolding.run(topic, sensor, files, bytes, streamBytes, nextSequence, oldest, removedFiles, removedBytes);
    }
    if (counted !== undefined) {
      database.prepare('INSERT OR REPLACE INTO archive_counted VALUES (?, ?)').run(counted.topic, counted.before);
    }
    const saveReference = database.prepare(
      'INSERT INTO archive_reference VALUES (?, ?) ON CONFLICT (path) DO UPDATE SET count = count + excluded.count',
    );
    const forget = database.prepare('DELETE FROM archive_reference WHERE path = ? AND count <= 0');
    for (const { path, change } of references) {
      saveReference.run(path, change);
      if (change < 0) forget.run(path);
    }
    const saveRemoval = database.prepare(`
      INSERT INTO archive_removal VALUES (?, ?, ?, ?, ?, ?, ?, ?)
      ON CONFLICT (topic, sensor, hour, why) DO UPDATE
      SET before = excluded.before, at = excluded.at, files = files + excluded.files, bytes = bytes + excluded.bytes
    `);
    for (const { topic, sensor, at, why, before, files, bytes } of removals) {
      saveRemoval.run(topic, sensor, Math.floor(at / HOUR_MS), why, before, at, files, bytes);
    }
    if (unlinking === undefined) return;
    const text = JSON.stringify(unlinking);
    database
      .prepare('INSERT OR REPLACE INTO progress (role, value, crc) VALUES (?, ?, ?)')
      .run(UNLINKING, text, rowCrc(UNLINKING, text));
  }
}

function keyOf(topic: string, sensor: SensorId): string {
  return `${topic} ${sensor}`;
}

function holdingOf(row: Row): ArchiveHolding {
  return {
    sensor: parseSensorId(String(row.sensor)),
    topic: String(row.topic),
    files: Number(row.files),
    bytes: Number(row.bytes),
    streamBytes: Number(row.stream_bytes),
    nextSequence: Number(row.next_sequence),
    oldest: Number(row.oldest),
    removedFiles: Number(row.removed_files),
    removedBytes: Number(row.removed_bytes),
  };
}

function removalOf(row: Row): ArchiveRemoval {
  return {
    sensor: parseSensorId(String(row.sensor)),
    topic: String(row.topic),
    before: Number(row.before),
    at: Number(row.at),
    why: String(row.why),
    files: Number(row.files),
    bytes: Number(row.bytes),
  };
}
