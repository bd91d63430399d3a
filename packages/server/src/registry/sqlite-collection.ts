import type { DatabaseSync } from 'node:sqlite';
import { D4Error } from '@d4ts/protocol';
import type { Logger } from 'pino';
import type { DocumentParser } from './documents.ts';
import type { Actor, Change, Collection, Versioned } from './port.ts';
import { rowCrc } from './row-check.ts';
import { inTransaction } from './sqlite-format.ts';
import type { Vault } from './vault.ts';

/** What makes one kind of document different from the others. */
export interface CollectionSpec<T> {
  readonly name: string;
  readonly parse: DocumentParser<T>;
  /** Properties with secrets: never in the audit record. */
  readonly secret: readonly (keyof T & string)[];
  /** Of these, the ones to encrypt; the others are hashes. */
  readonly sealed: readonly (keyof T & string)[];
  /** Whether the key itself is derived from a secret; then the audit record has its first digits only. */
  readonly secretKey: boolean;
  /** False for what changes all the time without anybody's decision. */
  readonly audited?: false;
}

/** What all collections share. */
export interface CollectionStore {
  readonly database: DatabaseSync;
  readonly vault: Vault;
  readonly log: Logger;
  readonly now: () => number;
  /** Turns an error of the database into one that says what to do. */
  readonly failure: (error: unknown) => D4Error;
}

/** A collection in SQLite: all of it in memory, every change durable with its audit record before it is resolved. */
export class SqliteCollection<T extends object> implements Collection<T> {
  readonly #spec: CollectionSpec<T>;
  readonly #store: CollectionStore;
  readonly #documents = new Map<string, Versioned<T>>();
  readonly #listeners = new Set<(change: Change<T>) => void>();
  readonly #undelivered: Change<T>[] = [];
  #delivering = false;

  /** Loads all documents. @throws {D4Error} D4_REGISTRY_DAMAGED, D4_REGISTRY_KEY */
  constructor(spec: CollectionSpec<T>, store: CollectionStore) {
    this.#spec = spec;
    this.#store = store;
    const rows = store.database
      .prepare('SELECT key, revision, value FROM document WHERE collection = ? ORDER BY key')
      .iterate(spec.name);
    for (const row of rows) {
      const key = String(row.key);
      const stored = spec.parse(String(row.value), `the registry's document "${key}" of ${spec.name}`);
      this.#documents.set(key, { revision: Number(row.revision), value: this.#opened(key, stored) });
    }
  }

  get size(): number {
    return this.#documents.size;
  }

  get(key: string): Versioned<T> | undefined {
    return this.#documents.get(key);
  }

  entries(): IterableIterator<[string, Versioned<T>]> {
    return this.#documents.entries();
  }

  async put(key: string, value: T, actor: Actor, expectedRevision?: number): Promise<Versioned<T>> {
    const before = this.#expect(key, expectedRevision);
    const after: Versioned<T> = { revision: (before?.revision ?? 0) + 1, value };
    const text = JSON.stringify(this.#sealed(key, value));
    this.#commit(() => {
      this.#store.database
        .prepare('INSERT OR REPLACE INTO document (collection, key, revision, value, crc) VALUES (?, ?, ?, ?, ?)')
        .run(this.#spec.name, key, after.revision, text, rowCrc(this.#spec.name, key, after.revision, text));
      this.#audit(key, before?.value, value, actor);
    });
    this.#documents.set(key, after);
    this.#deliver({ key, before: before?.value, after: value });
    return after;
  }

  async remove(key: string, actor: Actor, expectedRevision?: number): Promise<boolean> {
    const before = this.#expect(key, expectedRevision);
    if (before === undefined) return false;
    this.#commit(() => {
      this.#store.database.prepare('DELETE FROM document WHERE collection = ? AND key = ?').run(this.#spec.name, key);
      this.#audit(key, before.value, undefined, actor);
    });
    this.#documents.delete(key);
    this.#deliver({ key, before: before.value, after: undefined });
    return true;
  }

  watch(listener: (change: Change<T>) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #expect(key: string, expectedRevision: number | undefined): Versioned<T> | undefined {
    const current = this.#documents.get(key);
    const revision = current?.revision ?? 0;
    if (expectedRevision === undefined || expectedRevision === revision) return current;
    throw new D4Error('D4_CONFLICT', conflict(this.#spec.name, key, expectedRevision, revision));
  }

  #commit(work: () => void): void {
    try {
      inTransaction(this.#store.database, work);
    } catch (error) {
      throw this.#store.failure(error);
    }
  }

  #audit(key: string, before: T | undefined, after: T | undefined, actor: Actor): void {
    if (this.#spec.audited === false) return;
    this.#store.database
      .prepare('INSERT INTO audit (time, actor, address, collection, key, before, after) VALUES (?, ?, ?, ?, ?, ?, ?)')
      .run(
        this.#store.now(),
        actor.name,
        actor.address ?? null,
        this.#spec.name,
        this.#spec.secretKey ? `${key.slice(0, 8)}…` : key,
        this.#redacted(before, before),
        this.#redacted(after, before),
      );
  }

  /** A document without its secrets, but showing whether they differ from those of `before`. */
  #redacted(document: T | undefined, before: T | undefined): string | null {
    if (document === undefined) return null;
    const shown: Record<string, unknown> = Object.fromEntries(Object.entries(document));
    for (const property of this.#spec.secret) {
      if (document[property] === undefined) continue;
      const changed = before !== undefined && before[property] !== document[property];
      shown[property] = changed ? '(another secret)' : '(secret)';
    }
    return JSON.stringify(shown);
  }

  #sealed(key: string, document: T): object {
    const stored: Record<string, unknown> = Object.fromEntries(Object.entries(document));
    for (const property of this.#spec.sealed) {
      if (document[property] === undefined) continue;
      stored[property] = this.#store.vault.seal(String(document[property]), this.#label(key, property));
    }
    return stored;
  }

  #opened(key: string, stored: T): T {
    const opened: Record<string, string> = {};
    for (const property of this.#spec.sealed) {
      if (stored[property] === undefined) continue;
      opened[property] = this.#store.vault.open(String(stored[property]), this.#label(key, property));
    }
    return { ...stored, ...opened };
  }

  #label(key: string, property: string): string {
    return `${property} of ${this.#spec.name} ${key}`;
  }

  /** A listener may change the collection itself: what follows from that is delivered after what came before. */
  #deliver(change: Change<T>): void {
    this.#undelivered.push(change);
    if (this.#delivering) return;
    this.#delivering = true;
    for (let next = this.#undelivered.shift(); next !== undefined; next = this.#undelivered.shift()) {
      for (const listener of [...this.#listeners]) {
        try {
          listener(next);
        } catch (error) {
          this.#store.log.error({ err: error, collection: this.#spec.name }, 'a watcher of the registry failed');
        }
      }
    }
    this.#delivering = false;
  }
}

function conflict(collection: string, key: string, expected: number, actual: number): string {
  if (expected === 0) return `${collection}: "${key}" exists already`;
  if (actual === 0) return `${collection}: "${key}" does not exist any more`;
  return `${collection}: "${key}" was changed by somebody else (revision ${actual}, expected ${expected}); read it again`;
}
