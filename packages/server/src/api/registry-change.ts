import { D4Error } from '@d4ts/protocol';
import type { Actor, Collection, Versioned } from '../registry/port.ts';

const ATTEMPTS = 5;

/**
 * Changes a document that exists. Where somebody else changes it at the same time, the change is made on what they
 * left, unless the caller insists on a revision.
 * @returns undefined where there is no such document
 * @throws {D4Error} D4_CONFLICT
 */
export async function changeDocument<T>(
  collection: Collection<T>,
  key: string,
  change: (value: T) => T,
  actor: Actor,
  expectedRevision?: number,
): Promise<Versioned<T> | undefined> {
  for (let attempt = 1; ; attempt++) {
    const current = collection.get(key);
    if (current === undefined) return undefined;
    try {
      return await collection.put(key, change(current.value), actor, expectedRevision ?? current.revision);
    } catch (error) {
      const conflict = error instanceof D4Error && error.code === 'D4_CONFLICT';
      if (!conflict || expectedRevision !== undefined || attempt === ATTEMPTS) throw error;
    }
  }
}
