/**
 * A test for a pattern of `KEYS` and `SCAN`: `*`, `?`, `[abc]`, `[^a-c]`, and `\` before a character that stands for
 * itself. Linear in the key for each `*`, so that no pattern can be made to cost more.
 */
export function globTest(pattern: string): (text: string) => boolean {
  const parts = parsePattern(pattern);
  return (text) => matches(parts, text);
}

type Part = 'any' | ((char: string) => boolean);

function parsePattern(pattern: string): Part[] {
  const parts: Part[] = [];
  let at = 0;
  while (at < pattern.length) {
    const char = pattern.charAt(at++);
    if (char === '*') {
      if (parts.at(-1) !== 'any') parts.push('any');
    } else if (char === '?') {
      parts.push(() => true);
    } else if (char === '[') {
      const set = parseSet(pattern, at);
      parts.push(set.test);
      at = set.end;
    } else {
      const literal = char === '\\' && at < pattern.length ? pattern.charAt(at++) : char;
      parts.push((other) => other === literal);
    }
  }
  return parts;
}

function parseSet(pattern: string, start: number): { test: (char: string) => boolean; end: number } {
  let at = start;
  const negated = pattern.charAt(at) === '^';
  if (negated) at++;
  const ranges: { from: string; to: string }[] = [];
  while (at < pattern.length && pattern.charAt(at) !== ']') {
    if (pattern.charAt(at) === '\\' && at + 1 < pattern.length) at++;
    const from = pattern.charAt(at++);
    const isRange = pattern.charAt(at) === '-' && at + 1 < pattern.length && pattern.charAt(at + 1) !== ']';
    const to = isRange ? pattern.charAt(at + 1) : from;
    if (isRange) at += 2;
    ranges.push(from <= to ? { from, to } : { from: to, to: from });
  }
  const test = (char: string) => ranges.some(({ from, to }) => char >= from && char <= to) !== negated;
  return { test, end: at + 1 };
}

/** Goes back to the last `*` only: what an earlier one could match, the last one can as well. */
function matches(parts: readonly Part[], text: string): boolean {
  let part = 0;
  let at = 0;
  let star = -1;
  let starAt = 0;
  while (at < text.length) {
    const current = parts[part];
    if (current === 'any') {
      star = part++;
      starAt = at;
    } else if (current?.(text.charAt(at))) {
      part++;
      at++;
    } else if (star >= 0) {
      part = star + 1;
      at = ++starAt;
    } else {
      return false;
    }
  }
  while (parts[part] === 'any') part++;
  return part === parts.length;
}
