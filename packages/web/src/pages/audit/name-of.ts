import type { Schemas } from '../../api/client.ts';
import type { Names } from './readable.ts';

/**
 * What people call what a record is about: as it is called now, else as the record itself has it, so that what is removed, and
 * tokens, have names too. Undefined where its key is all there is. Pure.
 */
export function nameOf(
  { kind, key, before, after }: Pick<Schemas['AuditEntry'], 'kind' | 'key' | 'before' | 'after'>,
  names: Names,
): string | undefined {
  const known = names.get(key);
  if (known !== undefined) return known;
  const { name, user, description }: Readonly<Record<string, unknown>> = { ...before, ...after };
  if (typeof name === 'string' && name !== '' && name !== key)
    return typeof user === 'string' ? `${name}, ${user}` : name;
  if (kind !== 'sensors' && kind !== 'queues') return undefined;
  return (typeof description === 'string' && description.split('\n', 1)[0]?.trim()) || undefined;
}
