import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { D4Error } from '../errors.ts';
import { ENROLL_SECRET_BYTES, type EnrollToken, encodeEnrollToken, parseEnrollToken } from './token.ts';

const hosts = fc.oneof(
  fc.constantFrom('127.0.0.1', 'd4.example.org', '::1', '2001:db8::7', 'localhost', 'a'.repeat(253)),
  fc.ipV4(),
  fc.domain(),
);
const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
const plain = { noNullPrototype: true } as const;
const tokens: fc.Arbitrary<EnrollToken> = fc.record(
  {
    server: fc.record({ host: hosts, port: fc.integer({ min: 1, max: 65_535 }) }, plain),
    caSha256: bytes(32).map((sha256) => Buffer.from(sha256).toString('hex')),
    secret: bytes(ENROLL_SECRET_BYTES).map((secret) => Buffer.from(secret)),
  },
  plain,
);

function isRefused(text: string): boolean {
  try {
    parseEnrollToken(text);
    return false;
  } catch (error) {
    assert.ok(error instanceof D4Error && error.code === 'D4_BAD_TOKEN', String(error));
    return true;
  }
}

test('a token comes back as it was, also with white space around it', () => {
  fc.assert(
    fc.property(tokens, (token) => {
      const text = encodeEnrollToken(token);
      assert.match(text, /^d4e1_[A-Za-z0-9_-]+$/);
      assert.deepEqual(parseEnrollToken(text), token);
      assert.deepEqual(parseEnrollToken(`  ${text}\n`), token);
    }),
  );
});

test('a token that is cut, longer, or changed in one place is none', () => {
  fc.assert(
    fc.property(tokens, fc.nat(), fc.constantFrom(...'AZaz09-_+/= .'), (token, place, other) => {
      const text = encodeEnrollToken(token);
      const at = place % text.length;
      assert.ok(isRefused(text.slice(0, at)));
      assert.ok(isRefused(`${text}A`));
      const changed = `${text.slice(0, at)}${other}${text.slice(at + 1)}`;
      if (changed.trim() !== text) assert.ok(isRefused(changed), changed);
    }),
  );
});

test('any other text is none, and the error does not repeat it', () => {
  fc.assert(fc.property(fc.string(), (text) => assert.ok(isRefused(text) && isRefused(`d4e1_${text}`))));
  assert.throws(() => parseEnrollToken('d4e2_abc'), /only a newer client knows/);
  assert.throws(() => parseEnrollToken('hello'), /does not begin with "d4e".*copy the whole of it/);
});
