import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

type Undo = () => unknown;

const undosOf = new WeakMap<TestContext, Undo[]>();

/**
 * Undoes something when a test is over, the latest first: `t.after` runs in the order of registration, so that a folder
 * would go before the server that writes to it.
 * @throws what the first of them that failed threw; the others are undone all the same
 */
export function afterwards(t: TestContext, undo: Undo): void {
  const known = undosOf.get(t);
  if (known !== undefined) {
    known.push(undo);
    return;
  }
  const undos = [undo];
  undosOf.set(t, undos);
  t.after(() => undoAll(undos));
}

async function undoAll(undos: Undo[]): Promise<void> {
  const failures: unknown[] = [];
  for (let undo = undos.pop(); undo !== undefined; undo = undos.pop()) {
    try {
      await undo();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
}

/** A folder of one test, removed when all that was begun after it is undone. */
export function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'd4-test-'));
  afterwards(t, () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
