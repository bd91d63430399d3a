import assert from 'node:assert/strict';
import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { makeTestCertificates, type Recorder, startD4, startRecorder, type TestCertificates } from '@d4ts/testkit';

const KEY = 'private key to change';
const events = readFileSync(new URL('../../../test/data/maltrail/events.txt', import.meta.url));
const root = mkdtempSync(join(tmpdir(), 'd4-client-command-'));
let certificates: TestCertificates;
let recorder: Recorder;

before(async () => {
  certificates = await makeTestCertificates();
  recorder = await startRecorder({ key: KEY, tls: certificates });
});

after(async () => {
  await recorder.close();
  rmSync(root, { recursive: true });
});
