import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseGoBoolean, rewriteGoFlags } from './go-flags.ts';

const TABLE: [string, string][] = [
  ['-c conf', '--config=conf'],
  ['-c=conf', '--config=conf'],
  ['--c conf', '--config=conf'],
  ['-c', '--config'],
  ['-cc', '--check-certificate=true'],
  ['-cc -c conf', '--check-certificate=true --config=conf'],
  ['-cc=false', '--check-certificate=false'],
  ['-cc false', '--check-certificate=false'],
  ['-cc=nonsense', '--check-certificate=nonsense'],
  ['-cc conf', '--check-certificate=true conf'],
  ['-ce=0', '--tls=0'],
  ['-ce F', '--tls=F'],
  ['-cka 0', '--keep-alive=0'],
  ['-ct 5s', '--connect-timeout=5s'],
  ['-rl 200ms', '--poll-interval=200ms'],
  ['-rt 0', '--retry=0'],
  ['-rt=30s', '--retry=30s'],
  ['-v', '--verbose=true'],
  ['-v -tor -daily -json', '--verbose=true --tor=true --daily=true --json=true'],
  ['-json=false', '--json=false'],
  ['--config conf --pin ab', '--config conf --pin ab'],
  ['--tls=false', '--tls=false'],
  ['-x -cx conf', '-x -cx conf'],
  ['-v -- -cc', '--verbose=true -- -cc'],
  ['', ''],
];

test('the flags of the Go client become long options', () => {
  for (const [before, after] of TABLE) {
    const words = before.split(' ').filter((word) => word !== '');
    assert.equal(rewriteGoFlags(words).join(' '), after, before);
    assert.deepEqual(rewriteGoFlags(rewriteGoFlags(words)), rewriteGoFlags(words), `${before}, twice`);
  }
});

test('a value with spaces, dashes or an equals sign survives', () => {
  assert.deepEqual(rewriteGoFlags(['-c', 'my conf']), ['--config=my conf']);
  assert.deepEqual(rewriteGoFlags(['-c', '-odd']), ['--config=-odd']);
  assert.deepEqual(rewriteGoFlags(['-c=a=b']), ['--config=a=b']);
});

test('booleans as Go reads them', () => {
  for (const text of ['1', 't', 'T', 'true', 'TRUE', 'True']) assert.equal(parseGoBoolean(text), true);
  for (const text of ['0', 'f', 'F', 'false', 'FALSE', 'False']) assert.equal(parseGoBoolean(text), false);
  for (const text of ['', 'yes', 'no', 'tRUE']) assert.equal(parseGoBoolean(text), undefined);
});
