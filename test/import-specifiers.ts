/** One import in a file's text. */
export interface ImportSpecifier {
  /** What stands between the quotes; undefined where an `import()` computes it. */
  readonly specifier: string | undefined;
  /** From 1. */
  readonly line: number;
}

type Kind = 'word' | 'string' | 'punctuation';

interface Token {
  readonly kind: Kind;
  readonly text: string;
  readonly line: number;
}

/** In this order: comments, quoted strings, words and numbers; whatever else is one character of punctuation. */
const LEXEME =
  /\s+|\/\/[^\n]*|\/\*[\s\S]*?\*\/|(?<quoted>'(?:\\[\s\S]|[^'\\\n])*'|"(?:\\[\s\S]|[^"\\\n])*")|(?<word>[\w$#]+)|(?<other>[\s\S])/y;
const REGULAR_EXPRESSION = /\/(?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\[\n])+\/[a-z]*/y;
const TEMPLATE_TEXT = /(?:\\[\s\S]|\$(?!\{)|[^`\\$])*/y;
/** After these words a slash starts a regular expression; after any other it divides. */
const BEFORE_EXPRESSION = new Set([
  'return',
  'typeof',
  'case',
  'in',
  'of',
  'void',
  'delete',
  'await',
  'yield',
  'throw',
]);

/**
 * Every module that a TypeScript file names: `import` and `export … from` (types too), `import()` in code and in types,
 * and `new URL('./x.ts', import.meta.url)`, by which workers are started.
 */
export function importSpecifiers(text: string): ImportSpecifier[] {
  const tokens = tokenize(text);
  const found: ImportSpecifier[] = [];
  tokens.forEach((token, at) => {
    if (token.kind !== 'word' || tokens[at - 1]?.text === '.') return;
    const specifier = specifierAt(tokens, at);
    if (specifier !== undefined) found.push({ specifier: specifier.text, line: token.line });
  });
  return found;
}

/** The module that a statement starting at a word names, if it is one that names a module. */
function specifierAt(tokens: readonly Token[], at: number): { text: string | undefined } | undefined {
  const word = tokens[at]?.text;
  const next = tokens[at + 1];
  if (word === 'URL' && next?.text === '(' && tokens[at + 3]?.text === ',' && tokens[at + 4]?.text === 'import') {
    const argument = tokens[at + 2];
    return argument?.kind === 'string' && /\.[jt]s$/.test(argument.text) ? argument : undefined;
  }
  if (word === 'import' && next?.kind === 'string') return next;
  if (word === 'import' && next?.text === '(') {
    const argument = tokens[at + 2];
    const alone = tokens[at + 3]?.text === ')' || tokens[at + 3]?.text === ',';
    return { text: argument?.kind === 'string' && alone ? argument.text : undefined };
  }
  if (word === 'import' || (word === 'export' && isList(tokens, at + 1))) return fromClause(tokens, at + 1);
  return undefined;
}

/** Whether `{ … }` or `*` follows an `export`, with or without `type`. */
function isList(tokens: readonly Token[], at: number): boolean {
  const first = tokens[at]?.text === 'type' ? tokens[at + 1] : tokens[at];
  return first?.kind === 'punctuation' && (first.text === '{' || first.text === '*');
}

/** The string after `from`, where names, commas, braces and stars lead to one. */
function fromClause(tokens: readonly Token[], start: number): Token | undefined {
  for (let at = start; at < tokens.length; at++) {
    const token = tokens[at];
    if (token?.kind === 'string') {
      if (tokens[at - 1]?.text === 'from') return token;
    } else if (token?.kind === 'punctuation' && !'{},*'.includes(token.text)) {
      return undefined;
    }
  }
  return undefined;
}

function tokenize(text: string): Token[] {
  const tokens: Token[] = [];
  /** For each template we are inside of, how many braces are open in its `${…}`. */
  const templates: number[] = [];
  let at = 0;
  let line = 1;
  const take = (end: number): string => {
    const taken = text.slice(at, end);
    line += taken.split('\n').length - 1;
    at = end;
    return taken;
  };
  const matchEnd = (pattern: RegExp): number => {
    pattern.lastIndex = at;
    return pattern.test(text) ? pattern.lastIndex : at;
  };
  const add = (kind: Kind, content: string): void => {
    tokens.push({ kind, text: content, line });
  };
  const templateText = (): void => {
    take(matchEnd(TEMPLATE_TEXT));
    if (text[at] === '$') {
      take(at + 2);
      templates.push(0);
    } else {
      take(at + 1);
      add('word', 'template');
    }
  };
  while (at < text.length) {
    LEXEME.lastIndex = at;
    const { quoted, word, other } = LEXEME.exec(text)?.groups ?? {};
    const end = LEXEME.lastIndex;
    if (quoted !== undefined) add('string', quoted.slice(1, -1));
    else if (word !== undefined) add('word', word);
    else if (other === '`') {
      take(at + 1);
      templateText();
      continue;
    } else if (other === '/' && startsExpression(tokens.at(-1))) {
      const after = matchEnd(REGULAR_EXPRESSION);
      if (after > at) {
        take(after);
        add('word', 'regular expression');
        continue;
      }
      add('punctuation', other);
    } else if (other !== undefined) {
      const open = templates.length - 1;
      if (other === '}' && templates[open] === 0) {
        templates.pop();
        take(end);
        templateText();
        continue;
      }
      if (open >= 0 && other === '{') templates[open] = (templates[open] ?? 0) + 1;
      if (open >= 0 && other === '}') templates[open] = (templates[open] ?? 0) - 1;
      add('punctuation', other);
    }
    take(end);
  }
  return tokens;
}

/** Whether an expression, not an operator, follows this token. */
function startsExpression(previous: Token | undefined): boolean {
  if (previous === undefined) return true;
  if (previous.kind === 'word') return BEFORE_EXPRESSION.has(previous.text);
  return previous.kind === 'punctuation' && ![')', ']', '}'].includes(previous.text);
}
