import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { sampleFile } from './captures-fixture.ts';
import type { RecordContext, RecordFile, Rejection } from './port.ts';
import { formatFor } from './registry.ts';

const SAFE_NAME = /^[A-Za-z0-9:+_][A-Za-z0-9.:+_-]*$/;
const SAFE_EXTENSION = /^[A-Za-z0-9]{1,10}$/;

function filesOf(
  topic: string,
  record: Buffer | string,
  context: Partial<RecordContext> = {},
): readonly RecordFile[] | Rejection {
  const { archive } = formatFor(topic);
  assert.ok(archive.kind === 'per-record');
  const made = archive.files(Buffer.from(record), { metaHeader: undefined, partial: false, ...context });
  if ('rejected' in made) assert.match(made.rejected, /^[\w ]+$/);
  else {
    for (const { path, stem, extension } of made) {
      for (const name of [...path, `${stem}.${extension}`]) assert.match(name, SAFE_NAME);
      assert.ok(stem.length <= 64 && !stem.includes('..'));
      assert.match(extension, SAFE_EXTENSION);
    }
  }
  return made;
}

function made(topic: string, record: Buffer | string, context: Partial<RecordContext> = {}): readonly RecordFile[] {
  const files = filesOf(topic, record, context);
  assert.ok(!('rejected' in files), JSON.stringify(files));
  return files;
}

const sha = (name: string, bytes: Buffer): string => createHash(name).update(bytes).digest('hex');

/** What a hostile sensor writes where a name is made of it. */
const hostile = fc.oneof(
  fc.constantFrom(
    '../../etc/passwd',
    '..',
    '.',
    '/',
    '',
    '\0',
    'a\0b',
    '..\\..\\x',
    '-rf',
    '.hidden',
    'a/../b',
    'x'.repeat(4_096),
    '%2e%2e%2f',
  ),
  fc.string({ unit: 'binary' }),
  fc.string({ unit: fc.constantFrom(...'./\\\0~-a:'), maxLength: 40 }),
);

describe('ja3-jl', () => {
  it('makes a JSON file by its time, which is announced, and a file for each certificate', () => {
    for (const line of sampleFile('ja3-jl.ndjson').toString().trimEnd().split('\n')) {
      const { Timestamp, Certificates } = JSON.parse(line);
      const files = made('ja3-jl', line);
      assert.equal(files.length, 1 + (Certificates ?? []).length);
      const json = files.at(-1);
      assert.deepEqual(json, {
        folder: 'shared',
        path: ['jsons'],
        stem: Timestamp,
        extension: 'json',
        named: 'by-record',
        bytes: Buffer.from(line),
        compress: false,
        announce: true,
      });
      for (const [i, { CertHash, Raw }] of (Certificates ?? []).entries()) {
        const bytes = Buffer.from(Raw, 'base64');
        assert.equal(sha('sha256', bytes), CertHash);
        assert.deepEqual(files[i], {
          folder: 'shared',
          path: ['certs'],
          stem: sha('sha1', bytes),
          extension: 'crt',
          named: 'by-content',
          bytes,
          compress: false,
          announce: false,
        });
      }
    }
  });

  it('takes nothing of a name as it came', () => {
    fc.assert(
      fc.property(hostile, (timestamp) => void filesOf('ja3-jl', JSON.stringify({ Timestamp: timestamp }))),
      { numRuns: 500 },
    );
    const stems = ['../../etc/cron.d/x', 'a\0b', 'x'.repeat(4_096), '..'].map((timestamp) => {
      const files = filesOf('ja3-jl', JSON.stringify({ Timestamp: timestamp }));
      return 'rejected' in files ? files : files[0]?.stem;
    });
    assert.deepEqual(stems, ['etccron.dx', 'ab', 'x'.repeat(64), { rejected: 'no Timestamp that can name a file' }]);
  });

  it('rejects what is no such object, and bounds what one record can make', () => {
    for (const text of ['', '5', 'null', '[]', '{', '"a"', '['.repeat(500_000)]) {
      assert.deepEqual(filesOf('ja3-jl', text), { rejected: 'not a JSON object' });
    }
    for (const text of ['{}', '{"Timestamp":5}', '{"Timestamp":"//"}']) {
      assert.deepEqual(filesOf('ja3-jl', text), { rejected: 'no Timestamp that can name a file' });
    }
    const Certificates = [
      null,
      5,
      {},
      { Raw: 5 },
      { Raw: '' },
      { Raw: 'a' },
      { Raw: 'not base64' },
      { Raw: 'AQI=' },
      { Raw: 'AQI' },
    ];
    assert.equal(made('ja3-jl', JSON.stringify({ Timestamp: 't', Certificates })).length, 2);
    const many = Array.from({ length: 1_000 }, (_, i) => ({ Raw: Buffer.from([i, i >> 8, 1]).toString('base64') }));
    assert.equal(made('ja3-jl', JSON.stringify({ Timestamp: 't', Certificates: many })).length, 65);
  });
});

describe('filewatcher', () => {
  const bytes = Buffer.from('the file\n\0\xff', 'latin1');
  const line = bytes.toString('base64');
  const settings = (value: unknown) => ({ metaHeader: JSON.stringify({ type: 'filewatcher', ...(value as object) }) });

  it('makes a file of each line', () => {
    const file = {
      folder: 'sensor',
      path: ['files'],
      stem: sha('sha256', bytes),
      extension: 'bin',
      named: 'by-content',
      bytes,
      compress: false,
      announce: true,
    };
    assert.deepEqual(made('filewatcher', line), [file]);
    assert.deepEqual(made('filewatcher', `${line}\r`), [file]);
    assert.deepEqual(made('filewatcher', line.replace(/=+$/, '')), [file]);
    assert.deepEqual(made('filewatcher', line, settings({ extension: 'exe', compress: true, segregate: false })), [
      { ...file, extension: 'exe', compress: true, folder: 'shared' },
    ]);
    assert.deepEqual(made('filewatcher', line, settings({ extension: 'jpeg', segregate: true })), [
      { ...file, extension: 'jpeg' },
    ]);
  });

  it('takes no extension that is not safe, and no meta header that makes no sense', () => {
    fc.assert(
      fc.property(hostile, (extension) => {
        const [file] = made('filewatcher', line, settings({ extension, compress: 'yes', segregate: 0 }));
        assert.equal(file?.extension, SAFE_EXTENSION.test(extension) ? extension : 'bin');
        assert.deepEqual([file?.compress, file?.folder], [false, 'sensor']);
      }),
    );
    for (const metaHeader of ['', 'null', '5', '{', '[]'])
      assert.equal(made('filewatcher', line, { metaHeader }).length, 1);
  });

  it('rejects what is not base64 from end to end, and half a line', () => {
    for (const text of ['=', '====', 'a', 'abcde', 'ab cd', 'ab\ncd', 'ab=cd', '\0\0\0\0', 'äöüß', '\r']) {
      assert.deepEqual(filesOf('filewatcher', text), { rejected: 'not base64' }, JSON.stringify(text));
    }
    assert.deepEqual(filesOf('filewatcher', line, { partial: true }), { rejected: 'the stream ended within the line' });
  });

  it('gives back any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1 }), (content) => {
        assert.deepEqual(made('filewatcher', Buffer.from(content).toString('base64'))[0]?.bytes, Buffer.from(content));
      }),
    );
  });
});

describe('filewatcherjson', () => {
  it('makes a file of each whole line, whatever it is', () => {
    for (const text of ['{"a":1}', 'not json', '\xff']) {
      const record = Buffer.from(text, 'latin1');
      assert.deepEqual(made('filewatcherjson', record), [
        {
          folder: 'sensor',
          path: ['files'],
          stem: sha('sha256', record),
          extension: 'json',
          named: 'by-content',
          bytes: record,
          compress: false,
          announce: true,
        },
      ]);
    }
    assert.ok('rejected' in filesOf('filewatcherjson', '{"a":', { partial: true }));
  });
});
