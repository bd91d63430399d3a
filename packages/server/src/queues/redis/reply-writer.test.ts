import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { ReplyWriter } from './reply-writer.ts';

function written(protocol: 2 | 3, write: (out: ReplyWriter) => void): string {
  const out = new ReplyWriter();
  out.protocol = protocol;
  write(out);
  return Buffer.concat(out.take()).toString('latin1');
}

describe('ReplyWriter', () => {
  for (const [name, write, resp2, resp3] of [
    ['a simple string', (out) => out.simple('OK'), '+OK\r\n', '+OK\r\n'],
    ['an error on one line', (out) => out.error('ERR a\r\nb'), '-ERR a b\r\n', '-ERR a b\r\n'],
    ['no value', (out) => out.null(), '$-1\r\n', '_\r\n'],
    ['no list', (out) => out.nullArray(), '*-1\r\n', '_\r\n'],
    ['a map', (out) => out.map(2), '*4\r\n', '%2\r\n'],
    ['text', (out) => out.text('é'), '$2\r\n\xc3\xa9\r\n', '$2\r\n\xc3\xa9\r\n'],
    [
      'bulks',
      (out) => out.bulks([Buffer.from('a\r\n'), Buffer.alloc(0)]),
      '*2\r\n$3\r\na\r\n\r\n$0\r\n\r\n',
      undefined,
    ],
  ] satisfies [string, (out: ReplyWriter) => void, string, string | undefined][]) {
    it(`writes ${name}`, () => {
      assert.equal(written(2, write), resp2);
      if (resp3 !== undefined) assert.equal(written(3, write), resp3);
    });
  }

  it('writes integers of any size', () => {
    fc.assert(
      fc.property(fc.oneof(fc.integer(), fc.maxSafeInteger()), (value) => {
        assert.equal(
          written(2, (out) => out.integer(value)),
          `:${value}\r\n`,
        );
      }),
    );
  });

  it('grows over its buffer, and leaves a batch alone that is in use', () => {
    const out = new ReplyWriter();
    const large = Buffer.alloc(200_000, 'a');
    out.simple('OK');
    out.bulks([large, large]);
    const batch = out.take();
    const copy = Buffer.concat(batch);
    assert.equal(copy.length, out.length);
    out.release(true);
    out.bulks([Buffer.alloc(copy.length, 'b')]);
    assert.ok(Buffer.concat(batch).equals(copy));
    assert.ok(copy.subarray(0, 5).equals(Buffer.from('+OK\r\n')));
  });

  it('does not copy a large bulk', () => {
    const out = new ReplyWriter();
    const large = Buffer.alloc(100_000, 'a');
    for (let round = 0; round < 2; round++) {
      out.integer(7);
      out.bulk(large);
      out.bulk(Buffer.from('x'));
      out.bulk(large);
      const batch = out.take();
      assert.equal(batch.filter((piece) => piece === large).length, 2);
      const head = `$100000\r\n${large}\r\n`;
      assert.equal(Buffer.concat(batch).toString(), `:7\r\n${head}$1\r\nx\r\n${head}`);
      assert.equal(out.length, Buffer.concat(batch).length);
      out.release(round === 0);
      assert.equal(out.length, 0);
    }
  });
});
