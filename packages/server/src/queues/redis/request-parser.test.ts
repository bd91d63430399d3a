import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { MAX_ARGUMENTS, MAX_REQUEST_BYTES, RequestParser } from './request-parser.ts';

const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array));
const requests = fc.array(fc.array(bytes, { minLength: 1, maxLength: 6 }), { maxLength: 8 });

function encode(args: readonly Buffer[]): Buffer {
  const parts: Buffer[] = [Buffer.from(`*${args.length}\r\n`)];
  for (const each of args) parts.push(Buffer.from(`$${each.length}\r\n`), each, Buffer.from('\r\n'));
  return Buffer.concat(parts);
}

/** All requests of a stream that comes in pieces cut at `cuts`, and the error that ended it. */
function parse(stream: Buffer, cuts: readonly number[]): { requests: string[][]; error?: string } {
  const parser = new RequestParser();
  const found: string[][] = [];
  const ends = [...new Set([...cuts, stream.length])].sort((a, b) => a - b);
  let at = 0;
  try {
    for (const end of ends) {
      parser.push(Buffer.from(stream.subarray(at, end)));
      at = end;
      for (let request = parser.next(); request !== undefined; request = parser.next()) {
        found.push(request.map((each) => each.toString('latin1')));
      }
    }
  } catch (error) {
    return { requests: found, error: error instanceof Error ? error.message : String(error) };
  }
  return { requests: found };
}

function cutsOf(stream: Buffer, seed: readonly number[]): number[] {
  return seed.map((each) => (stream.length === 0 ? 0 : each % stream.length));
}

const everyByte = (stream: Buffer): number[] => Array.from(stream, (_, at) => at);

describe('RequestParser', () => {
  it('gives the same requests for any split of the bytes', () => {
    fc.assert(
      fc.property(requests, fc.array(fc.nat(), { maxLength: 20 }), (list, seed) => {
        const stream = Buffer.concat(list.map(encode));
        const expected = { requests: list.map((args) => args.map((each) => each.toString('latin1'))) };
        assert.deepEqual(parse(stream, []), expected);
        assert.deepEqual(parse(stream, cutsOf(stream, seed)), expected);
        assert.deepEqual(parse(stream, everyByte(stream)), expected);
      }),
      { numRuns: 100 },
    );
  });

  it('gives the same requests and the same error for any split of arbitrary bytes', () => {
    const pieces = fc.constantFrom('*', '$', '1', '2', '-', '\r', '\n', '\r\n', 'a', '"', "'", ' ', '*1\r\n', '$1\r\n');
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 30 }), fc.array(fc.nat(), { maxLength: 10 }), (parts, seed) => {
        const stream = Buffer.from(parts.join(''));
        assert.deepEqual(parse(stream, cutsOf(stream, seed)), parse(stream, []));
        assert.deepEqual(parse(stream, everyByte(stream)), parse(stream, []));
      }),
      { numRuns: 1000 },
    );
  });

  it('reads a large argument that comes in many chunks', () => {
    const large = Buffer.alloc(1_000_000, 'x\r\n');
    const stream = encode([Buffer.from('RPUSH'), large]);
    const cuts = Array.from({ length: 20 }, (_, at) => at * 50_021);
    assert.deepEqual(parse(stream, cuts).requests, [['RPUSH', large.toString('latin1')]]);
  });

  it('keeps what it has not been asked for, and counts it', () => {
    const parser = new RequestParser();
    const one = encode([Buffer.from('PING')]);
    parser.push(Buffer.concat([one, one]));
    parser.push(one);
    assert.equal(parser.unreadBytes, 3 * one.length);
    assert.notEqual(parser.next(), undefined);
    assert.equal(parser.unreadBytes, 2 * one.length);
    assert.notEqual(parser.next(), undefined);
    assert.notEqual(parser.next(), undefined);
    assert.equal(parser.next(), undefined);
    assert.equal(parser.unreadBytes, 0);
  });

  it('reads inline requests with quotes and escapes, and skips empty lines and empty arrays', () => {
    const stream = Buffer.from('\r\n*0\r\n*-1\r\n  PING  "a b\\n\\x41\\"" \'it\\\'s\' ""\nLLEN k\r\n');
    assert.deepEqual(parse(stream, []).requests, [
      ['PING', 'a b\nA"', "it's", ''],
      ['LLEN', 'k'],
    ]);
  });

  for (const [name, text, error] of [
    ['a length that is no number', '*x\r\n', 'Protocol error: invalid multibulk length'],
    ['too many arguments', `*${MAX_ARGUMENTS + 1}\r\n`, 'Protocol error: invalid multibulk length'],
    ['something other than a bulk', '*1\r\n:1\r\n', "Protocol error: expected '$', got ':'"],
    ['a negative bulk', '*1\r\n$-1\r\n', 'Protocol error: invalid bulk length'],
    ['a bulk over the limit', `*1\r\n$${MAX_REQUEST_BYTES}\r\n`, 'Protocol error: invalid bulk length'],
    ['a bulk that is longer than it says', '*1\r\n$1\r\nabc\r\n', 'Protocol error: expected CRLF after a bulk'],
    ['an open quote', 'PING "a\r\n', 'Protocol error: unbalanced quotes in request'],
    ['text after a quote', 'PING "a"b\r\n', 'Protocol error: unbalanced quotes in request'],
    ['an endless line', 'x'.repeat(70_000), 'Protocol error: too big inline request'],
  ] as const) {
    it(`refuses ${name}`, () => assert.equal(parse(Buffer.from(text), []).error, error));
  }

  it('refuses many arguments that together are over the limit, before they have come', () => {
    const parser = new RequestParser();
    const mega = Buffer.alloc(1024 * 1024);
    parser.push(Buffer.from('*100\r\n'));
    assert.throws(
      () => {
        for (let i = 0; i < 100; i++) {
          parser.push(Buffer.from(`$${mega.length}\r\n`));
          parser.push(mega);
          parser.push(Buffer.from('\r\n'));
          parser.next();
        }
      },
      { code: 'D4_REDIS_PROTOCOL' },
    );
  });
});
