import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clientFiles } from './client-files.ts';

const settings = { uuid: 'u', destination: '192.0.2.1:4443', ca: 'pem', key: undefined };

test('a wire type', () => {
  const files = new Map(clientFiles({ ...settings, topic: '3' }).map((file) => [file.name, file.content]));
  assert.equal(files.get('type'), '3');
  assert.equal(files.has('metaheader.json'), false);
});

test('a meta type has type 254 and a meta header', () => {
  const files = new Map(clientFiles({ ...settings, topic: 'maltrail' }).map((file) => [file.name, file.content]));
  assert.equal(files.get('type'), '254');
  assert.deepEqual(JSON.parse(String(files.get('metaheader.json'))), { type: 'maltrail', encoding: 'utf-8' });
});
