import assert from 'node:assert/strict';
import { test } from 'node:test';
import { importSpecifiers } from './import-specifiers.ts';

const specifiers = (text: string): (string | undefined)[] => importSpecifiers(text).map(({ specifier }) => specifier);

const NAMED: [title: string, text: string, specifiers: (string | undefined)[]][] = [
  ['names', "import { a, type B as C } from './a.ts';", ['./a.ts']],
  ['a default and a name space', 'import a, * as b from \'a\';\nimport type c from "c";', ['a', 'c']],
  ['over several lines', "import {\n  a,\n  // why b\n  b,\n} from './a.ts';", ['./a.ts']],
  ['for the effect', "import './a.ts';", ['./a.ts']],
  ['with attributes', "import a from './a.json' with { type: 'json' };", ['./a.json']],
  [
    'exports',
    "export { a } from './a.ts';\nexport * from './b.ts';\nexport type { C } from './c.ts';",
    ['./a.ts', './b.ts', './c.ts'],
  ],
  ['a dynamic import', "const a = await import('./a.ts');", ['./a.ts']],
  ['a computed one', 'const a = await import(name);', [undefined]],
  ['a computed one that starts with a string', "await import('./' + name);", [undefined]],
  ['a type', "let a: import('./a.ts').A;", ['./a.ts']],
  ['a worker', "new Worker(new URL('./worker.ts', import.meta.url));", ['./worker.ts']],
  ['inside a template', `\`\${await import('./a.ts')} import('./b.ts')\``, ['./a.ts']],
  ['after a template with braces', `const a = \`\${f({ b: \`\${c}\` })}\`;\nexport * from './a.ts';`, ['./a.ts']],
  ['after a comment-like string', "const a = 'src/**/*.ts';\nimport b from 'b'; /* x */", ['b']],
  ['after a regular expression with quotes', "const a = /['\"`/*]/.test(b);\nawait import('./a.ts');", ['./a.ts']],
];

for (const [title, text, expected] of NAMED) {
  test(`finds ${title}`, () => assert.deepEqual(specifiers(text), expected));
}

const UNNAMED: [title: string, text: string][] = [
  ['comments', "// import './a.ts'\n/** import('./b.ts') */"],
  ['strings', `const a = "import './a.ts'";`],
  ['own exports', "export { a };\nexport const b = { from: 'x' };\nexport type C = { from: 'x' };"],
  ['properties', "a.import('./a.ts');"],
  ['import.meta', "const a = import.meta.url + 'from';"],
  ['other URLs', "new URL('https://example.org/a.ts');"],
  ['divisions', 'const a = b / c; const d = e / f;'],
];

for (const [title, text] of UNNAMED) {
  test(`finds nothing in ${title}`, () => assert.deepEqual(specifiers(text), []));
}

test('says the line', () => {
  const text = "/* one\ntwo */\n\nimport a from 'a';\nimport b from 'b';\n";
  assert.deepEqual(
    importSpecifiers(text).map(({ line }) => line),
    [4, 5],
  );
});
