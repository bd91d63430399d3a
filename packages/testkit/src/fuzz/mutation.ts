import type { Random } from './random.ts';

/** Inputs grow no longer than this, in bytes: short ones find more in the same time. */
const MAX_INPUT_BYTES = 4096;
/** Numbers at which code goes wrong. */
const EDGES = [0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x1_0000, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];

type Mutation = (bytes: Buffer, random: Random, pool: Pool) => Buffer;

/** What mutation may take from elsewhere. */
export interface Pool {
  readonly corpus: readonly Buffer[];
  readonly words: readonly Buffer[];
}

const MUTATIONS: readonly Mutation[] = [
  function flipBit(bytes, random) {
    if (bytes.length > 0) {
      const at = random.below(bytes.length);
      bytes[at] = (bytes[at] ?? 0) ^ (1 << random.below(8));
    }
    return bytes;
  },
  function setByte(bytes, random) {
    if (bytes.length > 0) bytes[random.below(bytes.length)] = random.below(256);
    return bytes;
  },
  function setNumber(bytes, random) {
    const length = random.of([2, 4]);
    if (bytes.length < length) return bytes;
    const at = random.below(bytes.length - length + 1);
    const value = (random.of(EDGES) + random.below(3) - 1) >>> 0;
    if (length === 2) bytes.writeUInt16LE(value & 0xffff, at);
    else if (random.below(2) === 0) bytes.writeUInt32LE(value, at);
    else bytes.writeUInt32BE(value, at);
    return bytes;
  },
  function remove(bytes, random) {
    const at = random.below(bytes.length + 1);
    const end = at + random.below(Math.min(bytes.length - at, 200) + 1);
    return Buffer.concat([bytes.subarray(0, at), bytes.subarray(end)]);
  },
  function repeat(bytes, random) {
    const at = random.below(bytes.length + 1);
    const part = bytes.subarray(at, at + random.below(100));
    const copies = Array.from({ length: random.below(8) }, () => part);
    return Buffer.concat([bytes.subarray(0, at), ...copies, bytes.subarray(at)]);
  },
  function insertNoise(bytes, random) {
    const noise = Buffer.from(Array.from({ length: random.below(24) }, () => random.below(256)));
    return insert(bytes, noise, random);
  },
  function insertWord(bytes, random, { words }) {
    return words.length === 0 ? bytes : insert(bytes, random.of(words), random);
  },
  function splice(bytes, random, { corpus }) {
    const other = random.of(corpus);
    const from = random.below(other.length + 1);
    return Buffer.concat([bytes.subarray(0, random.below(bytes.length + 1)), other.subarray(from)]);
  },
  function truncate(bytes, random) {
    return bytes.subarray(0, random.below(bytes.length + 1));
  },
];

function insert(bytes: Buffer, part: Buffer, random: Random): Buffer {
  const at = random.below(bytes.length + 1);
  return Buffer.concat([bytes.subarray(0, at), part, bytes.subarray(at)]);
}

/** A copy of the bytes with up to five changes; at most 4 KiB. */
export function mutate(bytes: Buffer, random: Random, pool: Pool): Buffer {
  let mutated = Buffer.from(bytes);
  for (let i = random.below(6); i > 0; i--)
    mutated = random.of(MUTATIONS)(mutated, random, pool) as Buffer<ArrayBuffer>;
  return mutated.length > MAX_INPUT_BYTES ? mutated.subarray(0, MAX_INPUT_BYTES) : mutated;
}
