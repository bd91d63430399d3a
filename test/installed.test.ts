import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { installMisfit } from '../scripts/installed.js';

const HERE = { os: [process.platform], cpu: [process.arch] };
const ELSEWHERE = { os: ['vms'], cpu: ['vax'] };

/** What the two lock files say, and what is on disk; each test changes one of them. */
function sound() {
  const manifest = { dependencies: { a: '1.0.0' }, optionalDependencies: { here: '1.0.0', there: '1.0.0' } };
  const member = { name: 'member', dependencies: { b: '2.0.0' } };
  const wanted: Record<string, object> = {
    '': manifest,
    'packages/member': member,
    'node_modules/member': { resolved: 'packages/member', link: true },
    'node_modules/a': { version: '1.0.0', integrity: 'sha512-a' },
    'node_modules/b': { version: '2.0.0', integrity: 'sha512-b' },
    'node_modules/here': { version: '1.0.0', optional: true, ...HERE },
    'node_modules/there': { version: '1.0.0', optional: true, ...ELSEWHERE },
  };
  const { '': _, 'node_modules/there': __, ...present } = wanted;
  const folders = Object.keys(present);
  return { manifest, member, wanted, present, folders };
}

/** What `installMisfit` says of a repository like that. */
function misfit(state: ReturnType<typeof sound>): string | undefined {
  const root = mkdtempSync(join(tmpdir(), 'installed-'));
  const write = (file: string, content: unknown): void => {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    writeFileSync(join(root, file), JSON.stringify(content));
  };
  try {
    write('package.json', state.manifest);
    write('packages/member/package.json', state.member);
    write('package-lock.json', { packages: state.wanted });
    write('node_modules/.package-lock.json', { packages: state.present });
    for (const folder of state.folders) mkdirSync(join(root, folder), { recursive: true });
    return installMisfit(root);
  } finally {
    rmSync(root, { recursive: true });
  }
}

test('what npm ci installed fits, without the optional packages of other machines', () => {
  assert.equal(misfit(sound()), undefined);
});

test('an empty clone does not', () => {
  const root = mkdtempSync(join(tmpdir(), 'installed-'));
  const { wanted } = sound();
  const { 'packages/member': _, ...packages } = wanted;
  writeFileSync(join(root, 'package.json'), JSON.stringify(packages['']));
  writeFileSync(join(root, 'package-lock.json'), JSON.stringify({ packages }));
  mkdirSync(join(root, 'packages'));
  assert.equal(installMisfit(root), 'nothing is installed yet');
  rmSync(root, { recursive: true });
});

test('what differs is named', () => {
  const other = sound();
  other.present = { ...other.present, 'node_modules/b': { version: '1.9.0', integrity: 'sha512-b' } };
  assert.match(String(misfit(other)), /node_modules\/b is not the version/);

  const tampered = sound();
  tampered.present = { ...tampered.present, 'node_modules/b': { version: '2.0.0', integrity: 'sha512-x' } };
  assert.match(String(misfit(tampered)), /node_modules\/b is not the version/);

  const added = sound();
  added.wanted = { ...added.wanted, 'node_modules/c': { version: '1.0.0' } };
  assert.match(String(misfit(added)), /node_modules\/c is not installed/);

  const dropped = sound();
  dropped.present = { ...dropped.present, ...{ 'node_modules/c': { version: '1.0.0' } } };
  assert.match(String(misfit(dropped)), /node_modules\/c is no longer needed/);

  const removed = sound();
  removed.folders = removed.folders.filter((folder) => folder !== 'node_modules/a');
  assert.match(String(misfit(removed)), /node_modules\/a was removed/);
});

test('an optional package for this machine must be there', () => {
  const moved = sound();
  const { 'node_modules/here': _, ...present } = moved.present as Record<string, object>;
  assert.match(String(misfit({ ...moved, present })), /node_modules\/here is not installed/);
});

test('dependencies that package-lock.json does not have are the reader’s to mend', () => {
  const stale = sound();
  stale.member = { name: 'member', dependencies: { b: '3.0.0' } };
  assert.throws(() => misfit(stale), /packages\/member\/package\.json: run npm install/);
});
