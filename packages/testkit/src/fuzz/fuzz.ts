import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { mutate } from './mutation.ts';
import { Random } from './random.ts';

/** Something that takes bytes from outside. */
export interface FuzzTarget {
  readonly name: string;
  /** What mutation starts from; not empty. Short ones are best. */
  readonly corpus: readonly Buffer[];
  /** Pieces that are worth putting in anywhere. */
  readonly words?: readonly Buffer[];
  /** An input made by the grammar of what is read; every other input then starts from one. */
  generate?(random: Random): Buffer;
  /** Takes one input, and throws where something is wrong: a crash, or a promise that is not kept. */
  run(input: Buffer, random: Random): void;
}

/** Which inputs. The same seed and index are the same input. */
export interface FuzzRange {
  readonly seed: number;
  readonly inputs: number;
}

/** An input on which a target failed. */
export interface FuzzFailure {
  readonly index: number;
  readonly error: string;
}

/** More memory than this between the first third of a run and its end is growth, in bytes. */
const MAX_GROWTH_BYTES = 24 * 1024 * 1024;

/** The input of a run with this index. */
export function fuzzInput(target: FuzzTarget, seed: number, index: number): { input: Buffer; random: Random } {
  const random = Random.of(seed, index);
  const fresh = target.generate !== undefined && random.below(2) === 0;
  const base = fresh && target.generate !== undefined ? target.generate(random) : random.of(target.corpus);
  return { input: mutate(base, random, { corpus: target.corpus, words: target.words ?? [] }), random };
}

/**
 * Gives a target its inputs, one after the other.
 * @param began called with the index of each input before it is given
 * @returns the first failure; undefined where there is none. Memory that grows is one, with the index of the last input
 */
export function fuzz(
  target: FuzzTarget,
  { seed, inputs }: FuzzRange,
  began: (index: number) => void,
): FuzzFailure | undefined {
  const collect = collector();
  const settled = Math.floor(inputs / 3);
  let before = 0;
  for (let index = 0; index < inputs; index++) {
    began(index);
    if (index === settled) before = usedBytes(collect);
    const { input, random } = fuzzInput(target, seed, index);
    try {
      target.run(input, random);
    } catch (error) {
      return { index, error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
    }
  }
  const growth = usedBytes(collect) - before;
  if (growth <= MAX_GROWTH_BYTES) return undefined;
  return { index: inputs - 1, error: `memory grew by ${growth} bytes over ${inputs - settled} inputs` };
}

function collector(): () => void {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
}

function usedBytes(collect: () => void): number {
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
