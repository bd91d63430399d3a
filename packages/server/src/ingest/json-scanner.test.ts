import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { JsonObjectScanner } from './json-scanner.ts';

/** Scans byte by byte. @returns the length of the object, or what is known at the end of the text */
function scan(text: Buffer): number | 'more' | 'impossible' {
  const scanner = new JsonObjectScanner();
  for (let at = 0; at < text.length; at++) {
    const found = scanner.push(text.subarray(at, at + 1));
    if (found === 'impossible') return found;
    if (found !== 'more') return at + found;
  }
  return 'more';
}

/** Whether JSON.parse sees an object in exactly these bytes. */
function isObject(text: Buffer): boolean {
  try {
    const decoded = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(text);
    const value: unknown = JSON.parse(decoded);
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}

const jsonText = fc
  .tuple(fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue()), fc.constantFrom(undefined, 1, '\t'))
  .map(([value, indent]) => Buffer.from(JSON.stringify(value, undefined, indent)));

test('every JSON object ends where it ends, whole or byte by byte', () => {
  fc.assert(
    fc.property(jsonText, fc.constantFrom('', ' ', '\r\n\t '), (text, space) => {
      const padded = Buffer.concat([Buffer.from(space), text]);
      assert.equal(new JsonObjectScanner().push(Buffer.concat([padded, Buffer.from(' }')])), padded.length);
      assert.equal(scan(padded), padded.length);
      assert.equal(scan(padded.subarray(0, -1)), 'more');
    }),
    { numRuns: 300 },
  );
});

test('a damaged text is complete exactly where JSON.parse takes it', () => {
  const damage = fc.tuple(
    fc.nat(),
    fc.constantFrom(...Buffer.from('{}[]",:\\0-9.eE+tfn u\u00e9\u20ac'), 0xff, 0xc0, 0x1f),
  );
  fc.assert(
    fc.property(jsonText, fc.array(damage, { minLength: 1, maxLength: 3 }), (text, damages) => {
      const damaged = Buffer.from(text);
      for (const [at, byte] of damages) damaged[at % damaged.length] = byte;
      const found = scan(damaged);
      if (typeof found === 'number') assert.ok(isObject(damaged.subarray(0, found)), damaged.toString('latin1'));
      else assert.ok(!isObject(damaged), damaged.toString('latin1'));
    }),
    { numRuns: 1000 },
  );
});

for (const text of [
  '{}',
  ' {"a":1}',
  '{"a":[true,false,null,-0.5e+10,{}]}',
  '{"\\u00e9\\n":"é€𝄞"}',
  '{"a":[[],[{}]]}',
]) {
  test(`complete: ${text}`, () => assert.equal(scan(Buffer.from(text)), Buffer.byteLength(text)));
}

for (const text of [
  '5',
  '[',
  '"',
  '{a',
  '{"a"1',
  '{"a":01',
  '{"a":tru}',
  '{"a":1,}',
  '{"a":1]',
  '{"\n',
  '{"a":-}',
  '{"a":.',
  '{"\\x',
]) {
  test(`impossible: ${text}`, () => {
    assert.equal(scan(Buffer.from(text)), 'impossible');
    assert.equal(scan(Buffer.from(text).subarray(0, -1)), 'more');
  });
}

for (const hex of ['c080', 'e08080', 'eda080', 'f08080', 'f490', 'ff', 'c3c3']) {
  test(`not UTF-8: ${hex}`, () => {
    assert.equal(scan(Buffer.concat([Buffer.from('{"'), Buffer.from(hex, 'hex')])), 'impossible');
  });
}
