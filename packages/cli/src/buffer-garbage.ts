import { setFlagsFromString } from 'node:v8';

/**
 * Lets V8 free the buffers of bytes that pass through without marking the whole heap, which was about half of the processor
 * time of an exporter and of the server that serves it (bench/RESULTS.md).
 *
 * From V8 13.6 on (Node.js 24 to 26) 128 MiB of short-lived buffers come together before the cheap collection of young objects
 * is to free them, and 64 MiB before the whole heap is marked: so every one of them is freed by marking the whole heap
 * (nodejs/node#61967, #63863). This is the limit of the versions before, 32 MiB.
 */
export function freeBuffersEarly(): void {
  setFlagsFromString('--scavenger-max-new-space-capacity-mb=8');
}
