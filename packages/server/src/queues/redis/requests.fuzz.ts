import assert from 'node:assert/strict';
import { D4Error } from '@d4ts/protocol';
import type { FuzzTarget, Random } from '@d4ts/testkit';
import { RequestParser } from './request-parser.ts';

const COMMANDS = ['PING', 'RPOP key 100', 'BRPOP a b 0', 'LRANGE key 0 -1', 'HELLO 3', 'AUTH secret', 'SCAN 0 MATCH *'];

function resp(random: Random): Buffer {
  const requests = Array.from({ length: random.below(4) }, () => {
    const words = random.of(COMMANDS).split(' ');
    if (random.below(4) === 0) return `${words.join(' ')}\r\n`;
    return `*${words.length}\r\n${words.map((word) => `$${word.length}\r\n${word}\r\n`).join('')}`;
  });
  return Buffer.from(requests.join(''));
}

/** The requests in the bytes; what cannot go on by its message. */
function parsed(pieces: readonly Buffer[]): string[] {
  const parser = new RequestParser();
  const seen: string[] = [];
  try {
    for (const piece of pieces) {
      parser.push(Buffer.from(piece));
      for (let words = parser.next(); words !== undefined; words = parser.next()) {
        assert.ok(words.length > 0);
        seen.push(words.map((word) => word.toString('latin1')).join('\0'));
      }
    }
  } catch (error) {
    if (!(error instanceof D4Error) || error.code !== 'D4_REDIS_PROTOCOL') throw error;
    seen.push(error.message);
  }
  return seen;
}

const target: FuzzTarget = {
  name: 'redis-requests',
  corpus: [Buffer.from('*2\r\n$4\r\nRPOP\r\n$3\r\nkey\r\n'), Buffer.from('LPUSH key "a \\x41\\n" \'b\'\r\n')],
  words: ['*', '$', '\r\n', '*-1\r\n', '$-1\r\n', '$0\r\n\r\n', '"', "'", '\\x', '99999999999'].map((text) =>
    Buffer.from(text),
  ),
  generate: resp,
  run(input, random) {
    assert.deepEqual(parsed(random.split(input)), parsed([input]));
  },
};

export default [target];
