import { FORWARDED_BY } from '@d4ts/protocol';

/** What stands in a list of hops for servers that are not known: such a record is not forwarded any further. */
export const UNKNOWN_ORIGIN = 'unknown';
/** A record that has passed so many servers goes no further. */
export const MAX_HOPS = 16;

/** The servers that a stream has passed, by its meta header. */
export function forwardedBy(metaHeader: string | undefined): readonly string[] {
  if (metaHeader === undefined) return [];
  const header: unknown = JSON.parse(metaHeader);
  if (typeof header !== 'object' || header === null || !(FORWARDED_BY in header)) return [];
  const hops: unknown = header[FORWARDED_BY];
  const isList = Array.isArray(hops) && hops.every((hop) => typeof hop === 'string');
  // What cannot be read may hide anything.
  return isList ? hops : [UNKNOWN_ORIGIN];
}
