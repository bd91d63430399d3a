import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { D4Error } from '@d4ts/protocol';
import type { FuzzTarget, Random } from '@d4ts/testkit';
import { readClientConfig } from './config.ts';

/** An input is the files' contents, in this order, with this byte between them. */
const FILES = ['key', 'type', 'uuid', 'destination', 'source', 'version', 'snaplen', 'metaheader.json', 'folder'];
const MORE_FILES = ['redis_d4', 'redis_queue', 'rootCA.crt'];
const BETWEEN = 0x1e;

const VALUES: Record<string, readonly string[]> = {
  key: ['a key', 'a key\n', '', '\0'],
  type: ['3\n', '254', '1', '0', '3.0', '256', ' 8'],
  uuid: [
    '00000000-0000-4000-8000-000000000001\n',
    '00000000000040008000000000000001',
    '00000000-0000-1000-8000-000000000001',
  ],
  destination: ['stdout', '127.0.0.1:4443\n', '[::1]:4443', 'host', 'host:99999', ':1', '[::1:2'],
  source: ['stdin', 'folder', 'd4server', 'pcap', '/dev/null', './x', 'x'],
  version: ['1', '', '255'],
  snaplen: ['4096', '1', '0', '99999999999'],
  'metaheader.json': ['{"type":"maltrail"}', '{}', '[]', '{"type":1}', '{"type":"../x"}'],
  folder: ['/tmp', '/nowhere', ''],
  redis_d4: ['127.0.0.1:6380/2', 'x/2', '127.0.0.1:6380'],
  redis_queue: ['analyzer:3:00000000-0000-4000-8000-000000000001', ''],
  'rootCA.crt': ['', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'],
};
const NAMES = [...FILES, ...MORE_FILES];

// In memory where there is such a folder: a new uuid is synced, and a disk would take most of the time.
const directory = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'd4-config-fuzz-'));
process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
const written = new Map<string, Buffer>();

function generate(random: Random): Buffer {
  const values = NAMES.map((name) => Buffer.from(random.of(VALUES[name] ?? [''])));
  return Buffer.concat(values.flatMap((value, i) => (i === 0 ? [value] : [Buffer.from([BETWEEN]), value])));
}

function contents(input: Buffer): Buffer[] {
  const parts: Buffer[] = [];
  let at = 0;
  for (let end = input.indexOf(BETWEEN); end >= 0; end = input.indexOf(BETWEEN, at)) {
    parts.push(input.subarray(at, end));
    at = end + 1;
  }
  parts.push(input.subarray(at));
  return parts;
}

const target: FuzzTarget = {
  name: 'client-configuration',
  corpus: [Buffer.from('a key\x1e3\x1e00000000-0000-4000-8000-000000000001\x1estdout\x1estdin')],
  words: Object.values(VALUES).flatMap((values) => values.map((value) => Buffer.from(value))),
  generate,
  run(input) {
    const parts = contents(input);
    for (const [i, name] of NAMES.entries()) {
      const content = parts[i] ?? Buffer.alloc(0);
      if (written.get(name)?.equals(content)) continue;
      writeFileSync(join(directory, name), content);
      written.set(name, Buffer.from(content));
    }
    try {
      const config = readClientConfig(directory);
      if (config.sensorIsNew) written.delete('uuid');
    } catch (error) {
      if (!(error instanceof D4Error) || error.code !== 'D4_CONFIG') throw error;
    }
    if ((parts[2]?.length ?? 0) === 0) written.delete('uuid');
  },
};

export default [target];
