import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CaptureJoiner } from './capture-joiner.ts';

function header({ snaplen = 262144, linkType = 1, swapped = false } = {}): Buffer {
  const header = Buffer.alloc(24);
  const u32 = (value: number, at: number) =>
    swapped ? header.writeUInt32BE(value, at) : header.writeUInt32LE(value, at);
  u32(0xa1b2c3d4, 0);
  if (swapped) header.writeUInt32BE(0x00020004, 4);
  else header.writeUInt32LE(0x00040002, 4);
  u32(snaplen, 16);
  u32(linkType, 20);
  return header;
}

async function* inPieces(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function joined(captures: readonly Buffer[], size: number): Promise<Buffer> {
  const joiner = new CaptureJoiner();
  const chunks: Buffer[] = [];
  for (const [i, capture] of captures.entries()) {
    for await (const chunk of joiner.add(inPieces(capture, size), `file ${i}`)) chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

test('one header stands before the packets of all captures, however they come', async () => {
  const packets = ['first', 'second', 'third'].map((text) => Buffer.from(text));
  const captures = packets.map((packet, i) => Buffer.concat([header({ snaplen: 1_000 - i }), packet]));
  const expected = Buffer.concat([header({ snaplen: 1_000 }), ...packets]);
  for (const size of [1, 7, 24, 100]) assert.deepEqual(await joined(captures, size), expected);
  assert.deepEqual(await joined([header(), header()], 5), header());
});

test('captures that one header cannot stand for are refused', async () => {
  const cases: [Buffer, Buffer][] = [
    [header(), header({ swapped: true })],
    [header(), header({ linkType: 113 })],
    [header({ snaplen: 100 }), header({ snaplen: 101 })],
    [header({ snaplen: 100 }), header({ snaplen: 0 })],
    [header(), Buffer.from('text')],
    [Buffer.alloc(0), header()],
  ];
  for (const captures of cases) await assert.rejects(joined(captures, 9), { code: 'D4_OTHER_CAPTURE' });
});
