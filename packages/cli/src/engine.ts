import { executionAsyncResource } from 'node:async_hooks';
import { setFlagsFromString } from 'node:v8';

/** Set while V8 runs; each holds from then on. */
const FLAGS = [
  // Of the buffers of young objects, 32 MiB come together before these are collected, as in the versions before.
  '--scavenger-max-new-space-capacity-mb=8',
  // In percent of what the heap may grow until its next marking. Buffers count as growth, and marking would begin with the
  // first 8 MiB of them in a heap as small as ours; these let the cheap collection of young objects come first.
  '--incremental-marking-soft-trigger=85',
  '--incremental-marking-hard-trigger=95',
];

/** What `process.nextTick` makes for each call, kept so that V8 keeps its shape. */
let keptTick: object | undefined;

/**
 * Lets V8 free the buffers of bytes that pass through without marking the whole heap, which was about half of the processor
 * time of an exporter and of the server that serves it (bench/RESULTS.md).
 *
 * From V8 13.6 on (Node.js 24 to 26) 128 MiB of short-lived buffers come together before the cheap collection of young objects
 * is to free them, and 64 MiB at the most, often 8, before the whole heap is marked: so every one of them is freed by
 * marking the whole heap (nodejs/node#61967, #63863).
 */
export function freeBuffersEarly(): void {
  for (const flag of FLAGS) setFlagsFromString(flag);
}

/**
 * Keeps `process.nextTick` fast, which is called for each datagram and each write: 0.1 µs instead of 0.5.
 *
 * The shape of its objects is known to V8 only as long as there is one of them. Where the heap is marked while there is none,
 * the next ones get a new shape, and from then on every one of them is made property by property, for as long as the process
 * lives (measured with Node.js 24.21). So one is kept; call this before the heap is marked first.
 * @returns whether one is kept: not where Node.js makes them in another way
 */
export function keepTicksFast(): Promise<boolean> {
  // Not by a hook: promises would be slower ever after.
  const keep = (resolve: (kept: boolean) => void) => {
    const resource = executionAsyncResource();
    if ('callback' in resource) keptTick = resource;
    resolve(keptTick !== undefined);
  };
  // As it is called for a callback with a result.
  return new Promise((resolve) => process.nextTick(keep, resolve, 0));
}
