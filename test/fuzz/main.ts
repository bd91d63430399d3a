import { parseArgs } from 'node:util';
import { fuzzInProcess, fuzzInput, loadFuzzTargets } from '@d4ts/testkit';
import { targetFiles } from './target-files.ts';

const USAGE = `npm run fuzz -- [--inputs N] [--seed N] [--at INDEX] [TARGET…]

Gives each target N inputs (default 1000000), two targets at a time; without a name, all of them. A failure says its
index; --at INDEX gives that one input again, in this process, and prints it.
`;

/** All targets, with their files. */
async function allTargets(): Promise<{ file: string; name: string }[]> {
  const found: { file: string; name: string }[] = [];
  for (const file of targetFiles()) {
    for (const { name } of await loadFuzzTargets(file)) found.push({ file, name });
  }
  return found;
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      inputs: { type: 'string', default: '1000000' },
      seed: { type: 'string', default: '1' },
      at: { type: 'string' },
      help: { type: 'boolean' },
    },
  });
  if (values.help === true) {
    process.stdout.write(USAGE);
    return;
  }
  const known = await allTargets();
  const unknown = positionals.find((name) => !known.some((each) => each.name === name));
  if (unknown !== undefined)
    throw new Error(`no target ${unknown}; there are ${known.map(({ name }) => name).join(', ')}`);
  const chosen = known.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
  const seed = Number(values.seed);
  if (values.at !== undefined) {
    await giveAgain(chosen, seed, Number(values.at));
    return;
  }
  const inputs = Number(values.inputs);
  const waiting = [...chosen];
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) await one(next, { seed, inputs });
  };
  await Promise.all([work(), work()]);
}

async function one(
  { file, name }: { file: string; name: string },
  range: { seed: number; inputs: number },
): Promise<void> {
  const since = performance.now();
  const failure = await fuzzInProcess(file, name, range);
  const rate = Math.round(range.inputs / ((performance.now() - since) / 1000));
  if (failure === undefined) {
    process.stdout.write(`${name}: ${range.inputs} inputs, ${rate} each second: nothing found\n`);
    return;
  }
  process.stdout.write(`${name}: input ${failure.index} of seed ${range.seed}: ${failure.error}\n`);
  process.exitCode = 1;
}

async function giveAgain(
  chosen: readonly { file: string; name: string }[],
  seed: number,
  index: number,
): Promise<void> {
  for (const { file, name } of chosen) {
    const target = (await loadFuzzTargets(file)).find((each) => each.name === name);
    if (target === undefined) continue;
    const { input, random } = fuzzInput(target, seed, index);
    process.stdout.write(`${name}: ${JSON.stringify(input.toString('latin1'))}\n`);
    target.run(input, random);
  }
}

await main();
