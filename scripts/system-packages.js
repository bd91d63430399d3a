import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

/** Debian packages that tests need beside what npm installs: real Redis clients, TLS peers, a reader of captures, a browser. */
const TEST_PACKAGES = [
  'redis-tools',
  'python3-redis',
  'socat',
  'openssl',
  'tcpdump',
  'rsyslog',
  'rsyslog-gnutls',
  'chromium',
];

/**
 * Sees to it that the tests' system packages are there: by apt-get where it may be used, and else by saying what to
 * install. A test that needs one which is missing fails and says so.
 */
export function ensureTestPackages() {
  if (!existsSync('/usr/bin/dpkg-query')) {
    say(`this is no Debian: tests need what Debian has as ${TEST_PACKAGES.join(', ')}.`);
    return;
  }
  const missing = missingPackages();
  if (missing.length === 0) return;
  const command = privileged(['apt-get', 'install', '-y', '--no-install-recommends', '-qq', ...missing]);
  if (command === undefined) {
    say(`tests need system packages. Run: sudo apt-get install ${missing.join(' ')}`);
    return;
  }
  say(`installing ${missing.join(', ')} for the tests`);
  const lists = privileged(['apt-get', 'update', '-qq']) ?? [];
  if (!runs(command) && !(runs(lists) && runs(command))) {
    say(`apt-get could not install them. See above, or run: sudo apt-get install ${missing.join(' ')}`);
  }
}

/** @returns {string[]} those of the tests' packages that are not installed */
function missingPackages() {
  // biome-ignore lint/suspicious/noTemplateCurlyInString: dpkg-query fills it in
  const format = '${Package} ${db:Status-Status}\\n';
  const query = ['--show', '--showformat', format, ...TEST_PACKAGES];
  const { stdout } = spawnSync('dpkg-query', query, { encoding: 'utf8' });
  const installed = new Set(stdout.split('\n').filter((line) => line.endsWith(' installed')));
  return TEST_PACKAGES.filter((name) => !installed.has(`${name} installed`));
}

/**
 * The command as this user may run it without being asked for a password.
 * @param {string[]} command
 * @returns {string[] | undefined}
 */
function privileged(command) {
  if (process.getuid?.() === 0) return command;
  if (spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0) return ['sudo', '-n', ...command];
  return undefined;
}

/** @param {string[]} command */
function runs([program, ...args]) {
  if (program === undefined) return false;
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  return spawnSync(program, args, { env, stdio: ['ignore', 'inherit', 'inherit'] }).status === 0;
}

/** @param {string} text */
function say(text) {
  process.stderr.write(`setup: ${text}\n`);
}
