const MOST_CHARACTERS = 1_000;
/** What a terminal could obey, and what hides text or turns its direction. */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}]/gu;

/** Text in which something from another server may stand, for logs and pages: of bounded length, and nothing in it acts. */
export function foreignText(text: string): string {
  const cut = text.length > MOST_CHARACTERS ? `${text.slice(0, MOST_CHARACTERS)}…` : text;
  return cut.replaceAll(UNSAFE, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`);
}
