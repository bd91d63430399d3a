import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { D4Error, isVersion4 } from '@d4ts/protocol';
import { makeTestCertificates } from '@d4ts/testkit';
import { readClientConfig } from './config.ts';

const root = mkdtempSync(join(tmpdir(), 'd4-client-config-'));
after(() => rmSync(root, { recursive: true }));

const UUID = '6f8a3b52-1c4d-4e7f-9a21-5d0c7be41f93';
const GOOD = { key: 'private key to change\n', type: '3\n', destination: 'stdout\n', uuid: `${UUID}\n` };

/** A new configuration directory; an undefined value leaves the file out. */
function directory(files: Record<string, string | Buffer | undefined>): string {
  const path = mkdtempSync(join(root, 'conf-'));
  for (const [name, content] of Object.entries({ ...GOOD, ...files })) {
    if (content !== undefined) writeFileSync(join(path, name), content);
  }
  return path;
}

function problem(files: Record<string, string | Buffer | undefined>): string {
  try {
    readClientConfig(directory(files));
  } catch (error) {
    assert.ok(error instanceof D4Error);
    assert.equal(error.code, 'D4_CONFIG');
    return error.message;
  }
  assert.fail('an error was expected');
}

test('values, and what holds where a file is missing', () => {
  const config = readClientConfig(directory({}));
  assert.equal(config.sensor, UUID);
  assert.equal(config.sensorIsNew, false);
  assert.equal(config.key.toString(), 'private key to change');
  assert.equal(config.type, 3);
  assert.equal(config.version, 1);
  assert.equal(config.snaplen, 4096);
  assert.deepEqual(config.source, { kind: 'stdin' });
  assert.deepEqual(config.destination, { kind: 'stdout' });
  assert.equal(config.rootCa, undefined);
  assert.equal(config.metaHeader, undefined);
});

test('all of the key counts, without one line end', () => {
  const keys: [string | Buffer, string | Buffer][] = [
    ['key', 'key'],
    ['key\n', 'key'],
    ['key\r\n', 'key'],
    ['key\r', 'key'],
    ['key\n\n', 'key\n'],
    [' key with spaces \n', ' key with spaces '],
    [`${'k'.repeat(1023)}\n`, 'k'.repeat(1023)],
    [Buffer.from([0xff, 0x00, 0x0a, 0x61, 0x0a]), Buffer.from([0xff, 0x00, 0x0a, 0x61])],
  ];
  for (const [content, expected] of keys) {
    assert.deepEqual(readClientConfig(directory({ key: content })).key, Buffer.from(expected));
  }
});

test('a missing or empty key or type is an error', () => {
  for (const name of ['key', 'type', 'destination']) {
    for (const content of [undefined, '', '\n']) {
      assert.match(problem({ [name]: content }), new RegExp(`${name} is missing or empty; write `));
    }
  }
});

test('a bad value is an error that names the file, the value and what is allowed', () => {
  const table: [string, string, RegExp][] = [
    ['type', '0', /conf-\w+\/type contains "0"; allowed is a whole number from 1 to 255/],
    ['type', '256', /type contains "256"; allowed/],
    ['type', 'pcap', /type contains "pcap"; allowed/],
    ['type', '-1', /type contains "-1"; allowed/],
    ['snaplen', '0', /snaplen contains "0"; allowed is a whole number from 1 to 16777216/],
    ['snaplen', '4k', /snaplen contains "4k"/],
    ['version', 'one', /version contains "one"; allowed is a whole number from 1 to 255/],
    ['uuid', 'nonsense', /uuid contains "nonsense"; allowed is a UUID of version 4/],
    ['uuid', '6f8a3b52-1c4d-1e7f-9a21-5d0c7be41f93', /uuid contains .* version 4/],
    ['uuid', '00000000-0000-0000-0000-000000000000', /uuid contains/],
    ['destination', 'nowhere', /destination contains "nowhere"; allowed is stdout, HOST:PORT or \[IPV6\]:PORT/],
    ['destination', '::1:4443', /destination contains "::1:4443"; allowed/],
    ['source', 'stdn', /source contains "stdn"; allowed is stdin, folder, d4server, pcap, or the path of a file/],
    ['source', './nothing-here', /source names the file \.\/nothing-here, which is no regular file/],
    ['key', 'k'.repeat(1024), /key contains a key of 1024 bytes; allowed is one of 1 to 1023 bytes/],
    ['rootCA.crt', 'hello', /rootCA\.crt must contain certificates in PEM form: there is no certificate/],
    [
      'rootCA.crt',
      '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n',
      /rootCA\.crt must contain certificates in PEM form/,
    ],
  ];
  for (const [name, value, expected] of table) assert.match(problem({ [name]: value }), expected);
});

test('a key is not shown', () => {
  assert.doesNotMatch(problem({ key: 'secret'.repeat(200) }), /secret/);
});

test('a directory that is not there, or is none', () => {
  assert.throws(() => readClientConfig(join(root, 'nowhere')), {
    code: 'D4_CONFIG',
    message: /nowhere cannot be read/,
  });
  const file = join(directory({}), 'key');
  assert.throws(() => readClientConfig(file), { code: 'D4_CONFIG', message: /is not a directory/ });
});

test('a value file that is a directory', () => {
  const path = directory({ snaplen: undefined });
  mkdirSync(join(path, 'snaplen'));
  assert.throws(() => readClientConfig(path), { code: 'D4_CONFIG', message: /snaplen cannot be read/ });
});

test('a value file that would never end, or never begin', { skip: process.platform === 'win32' }, () => {
  const path = directory({ key: undefined, version: undefined });
  symlinkSync('/dev/zero', join(path, 'version'));
  assert.throws(() => readClientConfig(path), { code: 'D4_CONFIG' });
  execFileSync('mkfifo', [join(path, 'key')]);
  assert.throws(() => readClientConfig(path), { code: 'D4_CONFIG', message: /key cannot be read: it is no regular/ });
});

test('a uuid that is a link is replaced, and not what it leads to', () => {
  const path = directory({ uuid: undefined });
  const elsewhere = join(directory({}), 'elsewhere');
  writeFileSync(elsewhere, '');
  symlinkSync(elsewhere, join(path, 'uuid'));
  const { sensor } = readClientConfig(path);
  assert.equal(readFileSync(elsewhere, 'utf8'), '');
  assert.equal(readClientConfig(path).sensor, sensor);
});

test('an empty or missing uuid is made and written back, and stays', () => {
  for (const content of [undefined, '', '\n']) {
    const path = directory({ uuid: content });
    const first = readClientConfig(path);
    assert.equal(first.sensorIsNew, true);
    assert.ok(isVersion4(first.sensor));
    assert.equal(readFileSync(join(path, 'uuid'), 'utf8'), `${first.sensor}\n`);
    const second = readClientConfig(path);
    assert.equal(second.sensor, first.sensor);
    assert.equal(second.sensorIsNew, false);
    assert.deepEqual(readdirSync(path).sort(), ['destination', 'key', 'type', 'uuid']);
  }
});

test('no uuid is made while something else is wrong', () => {
  const path = directory({ uuid: undefined, type: 'x' });
  assert.throws(() => readClientConfig(path));
  assert.equal(existsSync(join(path, 'uuid')), false);
});

test('a uuid without dashes', () => {
  assert.equal(readClientConfig(directory({ uuid: UUID.replaceAll('-', '') })).sensor, UUID);
});

test('types 2 and 254 have a meta header, sent as it is', () => {
  const pretty = '{\n  "type": "maltrail",\n  "x": 1\n}\n';
  for (const type of ['2', '254']) {
    for (const name of ['metaheader.json', 'meta-header.json']) {
      const config = readClientConfig(directory({ type, [name]: pretty }));
      assert.equal(config.type, 254);
      assert.equal(config.metaHeader?.toString(), pretty);
    }
  }
  assert.equal(readClientConfig(directory({ 'metaheader.json': '5' })).metaHeader, undefined);
});

test('bad meta headers', () => {
  const type = '254';
  assert.match(problem({ type }), /metaheader\.json is missing; type 254 needs it/);
  for (const bad of ['5', '{"type":["x"]}', '[{"type":"x"}]', '{', '', 'null', '{"a":1}']) {
    assert.match(problem({ type, 'metaheader.json': bad }), /metaheader\.json contains .*allowed is one JSON object/s);
  }
  assert.match(problem({ type, 'metaheader.json': '{"type":"a b"}' }), /contains "a b"; allowed is a "type" of/);
  const long = JSON.stringify({ type: 'x', more: 'y'.repeat(100_000) });
  assert.match(problem({ type, 'meta-header.json': long }), /meta-header\.json contains .*at most 100000 bytes/);
});

test('sources', () => {
  const folder = mkdtempSync(join(root, 'watched-'));
  const source = (files: Record<string, string>) => readClientConfig(directory(files)).source;
  assert.deepEqual(source({ source: 'folder', folder: `${folder}\n` }), { kind: 'folder', path: folder });
  assert.match(problem({ source: 'folder' }), /folder is missing or empty/);
  assert.match(problem({ source: 'folder', folder: join(root, 'no') }), /folder contains .*an existing folder/);
  const file = join(folder, 'a.log');
  writeFileSync(file, '');
  assert.deepEqual(source({ source: file }), { kind: 'file', path: file });
  const redis = { source: 'd4server', redis_d4: '127.0.0.1:6380/2', redis_queue: 'analyzer:3:u\n' };
  const expected = { kind: 'd4server', host: '127.0.0.1', port: 6380, database: 2, queue: 'analyzer:3:u' };
  assert.deepEqual(source(redis), expected);
  assert.match(problem({ ...redis, redis_d4: '127.0.0.1:6380' }), /redis_d4 contains .*HOST:PORT\/DATABASE/);
  assert.match(problem({ ...redis, redis_d4: '' }), /redis_d4 is missing/);
  assert.match(problem({ ...redis, redis_queue: '' }), /redis_queue is missing/);
});

test('rootCA.crt', async () => {
  const { ca } = await makeTestCertificates();
  assert.equal(readClientConfig(directory({ 'rootCA.crt': ca })).rootCa, ca);
});
