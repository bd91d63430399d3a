import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';

const root = dirname(dirname(import.meta.dirname));

/** The `*.fuzz.ts` files of the project, absolute: beside what they try, or here where that is a package's interface. */
export function targetFiles(): string[] {
  return ['packages', 'test'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.fuzz.ts') && !path.includes('node_modules'))
      .sort()
      .map((path) => join(root, folder, path)),
  );
}
