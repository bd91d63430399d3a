import Type, { type Static } from 'typebox';
import { Compile } from 'typebox/compile';
import { BACKUP_DATA } from '../../server-facts.ts';

/** Version of the layout of a backup; a newer one is refused. */
export const BACKUP_FORMAT = 1;
/** The last entry of a backup: without it, it is not whole. */
export const MANIFEST_NAME = 'manifest.json';

const ManifestSchema = Type.Object({
  format: Type.Integer({ minimum: 1 }),
  /** Of the program that made it. */
  version: Type.String(),
  /** ms since 1970 */
  madeAt: Type.Integer({ minimum: 0 }),
  data: Type.Enum([...BACKUP_DATA]),
  /** The home that it was made of, and the folder of its archive, absolute. */
  home: Type.String(),
  archiveRoot: Type.String(),
  files: Type.Array(
    Type.Object({
      path: Type.String(),
      bytes: Type.Integer({ minimum: 0 }),
      /** Lower-case hexadecimal. */
      sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }),
    }),
  ),
  /** Files that were removed while the backup was made, by retention for example. */
  missing: Type.Array(Type.String()),
});

/** What a backup says of itself. */
export type BackupManifest = Static<typeof ManifestSchema>;

const validator = Compile(ManifestSchema);

/** Reads a manifest. @returns undefined where it is none */
export function manifestFrom(text: string): BackupManifest | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return validator.Check(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
