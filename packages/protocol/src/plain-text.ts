/** What a terminal could take for a command, or that hides text or turns its direction: controls, formats, separators. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;
const UNPRINTABLE_IN_LINES = /(?![\n\t])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** One line in which parts come from peers, certificates or files: what could act on a terminal is `?`. */
export function plainLine(text: string): string {
  return text.replaceAll(UNPRINTABLE, '?');
}

/** The same for text of several lines, with tabs. */
export function plainLines(text: string): string {
  return text.replaceAll(UNPRINTABLE_IN_LINES, '?');
}

/** The same without loss, as JSON has it: `\uNNNN` for each unit. What is JSON in one line stays the same JSON. */
export function escapeUnprintable(text: string): string {
  return text.replaceAll(UNPRINTABLE, (character) =>
    // Those outside the basic plane are two units.
    Array.from({ length: character.length }, (_, at) => unitEscape(character.charCodeAt(at))).join(''),
  );
}

function unitEscape(unit: number): string {
  return `\\u${unit.toString(16).padStart(4, '0')}`;
}
