import { D4Error, isMetaTypeName, wireTypeTitle } from '@d4ts/protocol';

/**
 * The name of a type that can be accepted: a number from 1 to 254, or a meta type's name (docs/journal.md, rule 1).
 * @throws {D4Error} D4_BAD_TYPE
 */
export function typeName(text: string): string {
  const name = text.trim();
  if (/^[0-9]+$/.test(name)) {
    const number = Number(name);
    if (number >= 1 && number <= 254) return String(number);
  } else if (isMetaTypeName(name)) {
    return name;
  }
  throw new D4Error(
    'D4_BAD_TYPE',
    `"${text}" is not a type: expected a number from 1 to 254, or the name of a meta type (letters, digits, "_" and "-", at most 64, beginning with a letter or digit)`,
  );
}

/** What a type carries, for people. */
export function typeTitle(name: string): string {
  if (!/^[0-9]+$/.test(name)) return 'meta type';
  return wireTypeTitle(Number(name)) ?? 'not named by the D4 documents';
}

/** A text by which types are in order: numbers before names. A name has no leading zeros of its own to meet. */
export function typeOrder(name: string): string {
  return /^[0-9]+$/.test(name) ? name.padStart(3, '0') : `~${name}`;
}
