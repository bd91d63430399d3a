import { parseSensorId } from '@d4ts/protocol';
import type { EndedStream, EndedStreams } from './port.ts';
import type { CollectionStore } from './sqlite-collection.ts';

/** Ends of acknowledged streams in a table of their own: there may be a million, so they are not in memory. */
export class SqliteEndedStreams implements EndedStreams {
  readonly #store: CollectionStore;

  constructor(store: CollectionStore) {
    this.#store = store;
  }

  get(id: string): EndedStream | undefined {
    const row = this.#store.database.prepare('SELECT sensor, topic, total FROM ended_stream WHERE id = ?').get(id);
    if (row === undefined) return undefined;
    return { sensor: parseSensorId(String(row.sensor)), topic: String(row.topic), total: Number(row.total) };
  }

  async put(id: string, { sensor, topic, total }: EndedStream, at: number): Promise<void> {
    this.#run('INSERT OR REPLACE INTO ended_stream (id, sensor, topic, total, at) VALUES (?, ?, ?, ?, ?)', [
      id,
      sensor,
      topic,
      total,
      at,
    ]);
  }

  async forgetBefore(at: number): Promise<void> {
    this.#run('DELETE FROM ended_stream WHERE at < ?', [at]);
  }

  #run(sql: string, values: (string | number)[]): void {
    try {
      this.#store.database.prepare(sql).run(...values);
    } catch (error) {
      throw this.#store.failure(error);
    }
  }
}
