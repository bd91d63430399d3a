import { D4Error } from '@d4ts/protocol';

const ESCAPES: ReadonlyMap<string, string> = new Map([
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
  ['b', '\b'],
  ['a', '\x07'],
]);
const BLANK = /[ \t\r\n\v\f\0]/;
const HEX_ESCAPE = /^x[0-9A-Fa-f]{2}/;

/**
 * Splits an inline request (a line of words, as a person types it into a socket) as Redis does: words between blanks,
 * `"…"` with backslash escapes, `'…'` with `\'`.
 * @throws {D4Error} D4_REDIS_PROTOCOL where a quote is not closed, or is followed by something other than a blank
 */
export function splitInlineRequest(line: Buffer): Buffer[] {
  const text = line.toString('latin1');
  const words: Buffer[] = [];
  let at = 0;
  for (;;) {
    while (at < text.length && BLANK.test(text.charAt(at))) at++;
    if (at >= text.length) return words;
    let word = '';
    while (at < text.length && !BLANK.test(text.charAt(at))) {
      const quote = text.charAt(at);
      if (quote !== '"' && quote !== "'") {
        word += quote;
        at++;
        continue;
      }
      const quoted = readQuoted(text, at);
      word += quoted.value;
      at = quoted.end;
      if (at < text.length && !BLANK.test(text.charAt(at))) throw unbalanced();
    }
    words.push(Buffer.from(word, 'latin1'));
  }
}

/** The value of the quoted part that starts at `start`, and the index after its closing quote. */
function readQuoted(text: string, start: number): { value: string; end: number } {
  const quote = text.charAt(start);
  let value = '';
  let at = start + 1;
  while (at < text.length) {
    const char = text.charAt(at);
    if (char === quote) return { value, end: at + 1 };
    const next = text.charAt(at + 1);
    if (char !== '\\' || next === '' || (quote === "'" && next !== "'")) {
      value += char;
      at++;
    } else if (quote === '"' && HEX_ESCAPE.test(text.slice(at + 1, at + 4))) {
      value += String.fromCharCode(Number.parseInt(text.slice(at + 2, at + 4), 16));
      at += 4;
    } else {
      value += quote === '"' ? (ESCAPES.get(next) ?? next) : next;
      at += 2;
    }
  }
  throw unbalanced();
}

function unbalanced(): D4Error {
  return new D4Error('D4_REDIS_PROTOCOL', 'Protocol error: unbalanced quotes in request');
}
