import { spawn } from 'node:child_process';
import { delimiter, join } from 'node:path';
import { node24 } from './node-24.js';

/**
 * What must hold of the sources, beside the tests: each a program of node_modules/.bin and its arguments.
 * @type {{ name: string, command: string[] }[]}
 */
const CHECKS = [
  { name: 'types', command: ['tsc', '--noEmit'] },
  { name: 'types of the pages', command: ['tsc', '--noEmit', '--project', 'packages/web'] },
  { name: 'the pages know the interface', command: ['node', 'scripts/web-api.js', '--check'] },
  { name: 'style', command: ['biome', process.env.CI ? 'ci' : 'check', '--error-on-warnings', '.'] },
  { name: 'unused code', command: ['knip', '--no-progress', '--no-config-hints'] },
  { name: 'dependency rules', command: ['node', '--test', '--test-reporter=dot', 'test/dependency-rules.test.ts'] },
];

/**
 * Runs the checks side by side and prints how each went, with all that a failed one said.
 * @param {string} root the repository's folder
 * @returns {Promise<boolean>} whether all passed
 */
export async function runChecks(root) {
  const outcomes = await Promise.all(CHECKS.map((check) => runCheck(root, check)));
  for (const { name, passed, seconds, said } of outcomes) {
    process.stdout.write(`${passed ? '✔' : '✖'} ${name} (${seconds.toFixed(1)} s)\n`);
    if (!passed) process.stdout.write(`${said.trimEnd()}\n\n`);
  }
  const failed = outcomes.filter((outcome) => !outcome.passed).map((outcome) => outcome.name);
  if (failed.length > 0)
    process.stdout.write(`Checks failed: ${failed.join(', ')}. To mend style: npx biome check --write\n`);
  return failed.length === 0;
}

/**
 * The environment for the project's programs: its own Node.js and tools are found first, and what Node.js has compiled is
 * kept for the next program (a quarter of a test file's processor time is the reading of TypeScript).
 * @param {string} root
 */
export function projectEnvironment(root) {
  const modules = join(root, 'node_modules');
  return {
    ...process.env,
    PATH: `${join(modules, '.bin')}${delimiter}${process.env.PATH ?? ''}`,
    NODE_COMPILE_CACHE: join(modules, '.cache', 'node'),
  };
}

/**
 * @param {string} root
 * @param {{ name: string, command: string[] }} check
 * @returns {Promise<{ name: string, passed: boolean, seconds: number, said: string }>}
 */
function runCheck(root, { name, command: [tool = '', ...args] }) {
  const started = performance.now();
  const program = tool === 'node' ? node24(root) : join(root, 'node_modules', '.bin', tool);
  const child = spawn(program, args, { cwd: root, env: projectEnvironment(root), stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    said += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    said += text;
  });
  return new Promise((resolve) => {
    /** @param {boolean} passed */
    const done = (passed) => resolve({ name, passed, seconds: (performance.now() - started) / 1000, said });
    child.on('error', (error) => {
      said += error.message;
      done(false);
    });
    child.on('close', (code) => done(code === 0));
  });
}
