import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { type FuzzFailure, type FuzzRange, type FuzzTarget, fuzz } from './fuzz.ts';

/** An input that takes longer than this is a hang, in ms: most take microseconds. */
const HANG_MS = 60_000;
/** A target looks at the clock after so many inputs, and tells where it is each half second. */
const STEP = 64;
const TELL_MS = 500;

/** What a file of targets exports as its default. */
export type FuzzTargets = readonly FuzzTarget[];

/** The targets in a `*.fuzz.ts` file. */
export async function loadFuzzTargets(file: string): Promise<FuzzTargets> {
  return ((await import(pathToFileURL(file).href)) as { default: FuzzTargets }).default;
}

/**
 * Fuzzes one target in a process of its own, which is ended where it hangs.
 * @returns the first failure; undefined where there is none
 */
export async function fuzzInProcess(file: string, name: string, range: FuzzRange): Promise<FuzzFailure | undefined> {
  const args = [file, name, String(range.seed), String(range.inputs)];
  const child = fork(join(import.meta.dirname, 'fuzz-process.ts'), args, {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  let at = 0;
  let failure: FuzzFailure | undefined;
  const hung = (): void => {
    failure = {
      index: at,
      error: `one of the inputs from there on did not come to its end within ${HANG_MS / 1000} s`,
    };
    child.kill('SIGKILL');
  };
  let watch = setTimeout(hung, 3 * HANG_MS);
  child.on('message', (message: { at: number } | { failure: FuzzFailure }) => {
    clearTimeout(watch);
    if ('failure' in message) failure = message.failure;
    else at = message.at;
    watch = setTimeout(hung, HANG_MS);
  });
  const [code] = await once(child, 'exit');
  clearTimeout(watch);
  if (failure === undefined && code !== 0) failure = { index: at, error: `the process ended with ${code}` };
  return failure;
}

async function main([file, name, seed, inputs]: readonly string[]): Promise<void> {
  const target = (await loadFuzzTargets(file ?? '')).find((each) => each.name === name);
  if (target === undefined) throw new Error(`${file} has no target ${name}`);
  const send = process.send?.bind(process);
  if (send === undefined) throw new Error('this program is forked');
  let told = performance.now();
  const failure = fuzz(target, { seed: Number(seed), inputs: Number(inputs) }, (index) => {
    if (index % STEP !== 0 || performance.now() - told < TELL_MS) return;
    told = performance.now();
    send({ at: index });
  });
  if (failure !== undefined) await new Promise((resolve) => send({ failure }, resolve));
  process.disconnect();
}

if (import.meta.main) await main(process.argv.slice(2));
