/**
 * `npm test`: the checks, then every test. With arguments, only the tests of files whose path contains one of them,
 * without the checks: `npm test -- protocol/src/decoder`.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { projectEnvironment, runChecks } from './checks.js';
import { node24 } from './node-24.js';

/** A run that finds fewer tests has lost some: raise it as the suite grows. */
const FEWEST_TESTS = 400;
/** One test's limit, in ms. */
const TEST_TIMEOUT = 120_000;
/** Limit of the whole run, in ms; whoever waits for it gives it ten minutes. */
const RUN_TIMEOUT = 540_000;
/** So many files that failed are run again, alone. */
const MOST_AGAIN = 2;
/** What that may take at least, in ms; else there is no time for it. */
const AGAIN_NEEDS = 45_000;
const ROOTS = ['packages', 'test'];

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const selection = process.argv.slice(2);
process.exitCode = (await run()) ? 0 : 1;

async function run() {
  if (selection.length === 0 && !(await runChecks(root))) return false;
  const files = testFiles();
  if (files.length === 0) return complain(`no test file matches ${selection.join(', ')}`);
  const scratch = mkdtempSync(join(tmpdir(), 'd4ts-'));
  try {
    return await runTests(files, scratch);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function testFiles() {
  return ROOTS.flatMap((folder) => {
    const names = readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' });
    return names
      .filter((name) => name.endsWith('.test.ts') && !name.includes('node_modules'))
      .map((name) => join(folder, name));
  })
    .filter((file) => selection.length === 0 || selection.some((part) => file.includes(part)))
    .sort();
}

/**
 * Runs all, and what failed once more by itself: with every processor taken, a limit of time in a test can be met that
 * says nothing about the code. What then passes is named, so that somebody mends the test.
 * @param {string[]} files
 * @param {string} scratch a folder of this run alone, the tests' folder for temporary files
 */
async function runTests(files, scratch) {
  // One more than processors: some tests mostly wait.
  const { passed, counts } = await runFiles(files, scratch, availableParallelism() + 1);
  if (!judge(counts)) return false;
  if (passed) return true;
  const failed = (counts?.failed ?? []).map((file) => relative(root, file));
  const isLate = performance.now() > RUN_TIMEOUT - AGAIN_NEEDS;
  if (failed.length === 0 || failed.length > MOST_AGAIN || selection.length > 0 || isLate) return false;
  process.stdout.write(`\nOnce more, by themselves: ${failed.join(', ')}\n`);
  if (!(await runFiles(failed, scratch, 1)).passed) return false;
  process.stdout.write(`\nUNSTEADY: failed beside others and passed alone, to be mended: ${failed.join(', ')}\n`);
  return true;
}

/**
 * @param {string[]} files
 * @param {string} scratch
 * @param {number} atOnce how many files run side by side
 */
async function runFiles(files, scratch, atOnce) {
  const countsFile = join(scratch, 'counts.json');
  const temporary = mkdtempSync(join(scratch, 't'));
  const args = [
    '--disable-warning=ExperimentalWarning',
    '--import=./scripts/leak-watch.js',
    '--test',
    `--test-concurrency=${atOnce}`,
    `--test-timeout=${TEST_TIMEOUT}`,
    '--test-reporter=spec',
    '--test-reporter-destination=stdout',
    '--test-reporter=./scripts/test-counts.js',
    '--test-reporter-destination=stderr',
    ...files,
  ];
  const env = { ...projectEnvironment(root), TMPDIR: temporary, TEST_COUNTS_FILE: countsFile };
  const passed = await spawnTests(args, env);
  const left = readdirSync(temporary).filter((name) => name !== 'node-compile-cache');
  if (left.length > 0) process.stdout.write(`Left behind in the temporary folder: ${left.join(', ')}\n`);
  return { passed, counts: readCounts(countsFile) };
}

/**
 * @param {string[]} args
 * @param {NodeJS.ProcessEnv} env
 * @returns {Promise<boolean>}
 */
function spawnTests(args, env) {
  const child = spawn(node24(root), args, { cwd: root, env, stdio: ['ignore', 'inherit', 'inherit'] });
  const limit = setTimeout(() => {
    complain(`the tests took longer than ${RUN_TIMEOUT / 1000} s; those under way are named above`);
    child.kill('SIGINT');
  }, RUN_TIMEOUT - performance.now());
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => {
      clearTimeout(limit);
      resolve(code === 0);
    });
  });
}

/**
 * @param {string} file
 * @returns {(import('./test-counts.js').Counts & { withoutTests: string[], failed: string[] }) | undefined}
 */
function readCounts(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}

/** @param {import('./test-counts.js').Counts & { withoutTests: string[], failed: string[] } | undefined} counts */
function judge(counts) {
  if (counts === undefined) return complain('the tests did not come to their end');
  if (counts.withoutTests.length > 0) return complain(`no test in ${counts.withoutTests.join(', ')}`);
  const fewest = selection.length === 0 ? FEWEST_TESTS : 1;
  if (counts.tests < fewest) return complain(`only ${counts.tests} tests ran; at least ${fewest} are known to exist`);
  if (process.env.CI && counts.skipped + counts.todo > 0) {
    return complain(
      `${counts.skipped} tests were skipped and ${counts.todo} are to do: neither may be where CI is set`,
    );
  }
  return true;
}

/** @param {string} what */
function complain(what) {
  process.stdout.write(`✖ ${what}\n`);
  return false;
}
