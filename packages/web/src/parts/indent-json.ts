/**
 * JSON with a line for each value. Nothing but white space between values is changed: numbers that JavaScript cannot
 * hold stay as they came.
 * @param json must be valid
 */
export function indentJson(json: string): string {
  const tokens = json.match(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g) ?? [];
  let depth = 0;
  let text = '';
  const line = () => `\n${'  '.repeat(depth)}`;
  for (const [at, token] of tokens.entries()) {
    const [before = '', after = ''] = [tokens[at - 1], tokens[at + 1]];
    const isEmpty = ['{}', '[]'].includes(token + after) || ['{}', '[]'].includes(before + token);
    if (token === '{' || token === '[') {
      depth += 1;
      text += token + (isEmpty ? '' : line());
    } else if (token === '}' || token === ']') {
      depth -= 1;
      text += (isEmpty ? '' : line()) + token;
    } else if (token === ',') text += token + line();
    else text += token === ':' ? ': ' : token;
  }
  return text;
}
