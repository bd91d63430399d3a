import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { connect, type TLSSocket } from 'node:tls';
import { gunzipSync } from 'node:zlib';
import { FrameEncoder, newSensorId, PROTOCOL_VERSION, type SensorId } from '@d4ts/protocol';
import { makeTestCertificates, runD4, startD4 } from '@d4ts/testkit';
import { Redis } from 'ioredis';
import { until } from '../monitored-server.ts';
import {
  ADMINISTRATOR,
  accessibilityFaults,
  type BrowserUnderTest,
  firstLogin,
  firstPassword,
  follow,
  signIn,
  startBrowser,
} from './browser-fixture.ts';

interface Records {
  readonly items: readonly { readonly id: string }[];
}

const HEADINGS: Readonly<Record<string, string>> = {
  '/sensors': 'Sensors',
  '/enrolment': 'Enrolment',
  '/queues': 'Queues',
  '/types': 'Types',
  '/blocks': 'Blocks',
};

describe('the pages, in a browser', () => {
  let browser: BrowserUnderTest;

  before(async () => {
    browser = await startBrowser();
  });
  after(() => browser[Symbol.asyncDispose]());

  /** A connection of a sensor that is ended with the test. */
  async function connectSensor(): Promise<TLSSocket> {
    const { listen, ca } = browser.server.info;
    const [host = '', port] = listen.split(':');
    const socket = connect({ host, port: Number(port), ca, checkServerIdentity: () => undefined });
    socket.on('error', () => {});
    await once(socket, 'secureConnect');
    return socket;
  }

  function encoderFor(sensor: SensorId, key: string): FrameEncoder {
    return new FrameEncoder({ sensor, key: Buffer.from(key), version: PROTOCOL_VERSION });
  }

  it('ask for a new password at the first login, and for nothing else before', async () => {
    const page = await browser.open();
    const password = firstPassword(browser.server);
    await signIn(page, ADMINISTRATOR.mail, 'not the password');
    await page.getByRole('alert').getByText('D4_LOGIN_FAILED').waitFor();
    await signIn(page, ADMINISTRATOR.mail, password);
    await page.getByRole('heading', { name: 'Choose a password' }).waitFor();
    await page.goto('/sensors');
    await page.getByRole('heading', { name: 'Choose a password' }).waitFor();
    await page.getByLabel('Current password').fill(password);
    await page.getByLabel('New password', { exact: true }).fill('too short');
    await page.getByRole('button', { name: 'Set and go on' }).click();
    await page.getByText('At least 12 characters: a few words are good').waitFor();
    await page.context().clearCookies();
    await firstLogin(page, password, ADMINISTRATOR.password);
    assert.equal(existsSync(join(browser.server.home, 'DEFAULT_PASSWORD')), false);
    await page.getByRole('button', { name: /admin@admin\.test/ }).click();
    await page.getByRole('menuitem', { name: 'Sign out', exact: true }).click();
    await page.getByRole('heading', { name: 'Sign in to D4' }).waitFor();
    assert.equal((await page.context().cookies()).length, 0);
  });

  it('show a sensor that registers while they are open, and approve it; its data reaches the overview', async () => {
    const page = await browser.openAsAdministrator();
    await page.goto('/enrolment');
    await page.getByText('Nobody waits').waitFor();
    const uuid = newSensorId();
    const mail = 'owner@example.org';
    await browser.ask('POST', '/sensors', { uuid, key: 'its key', name: 'Roof north', mail });
    await page
      .getByRole('row', { name: /Roof north/ })
      .getByRole('button', { name: 'Approve' })
      .click();
    await page.getByText('1 sensor approved').waitFor();
    await page.getByText('Nobody waits').waitFor();

    await page.getByRole('link', { name: 'Overview', exact: true }).click();
    const socket = await connectSensor();
    socket.write(encoderFor(uuid, 'its key').encode(3, Buffer.from('one line\nand another\n'), 1));
    await page.getByRole('link', { name: '1 receiving' }).waitFor();
    await page.getByRole('region', { name: 'Sensors today' }).getByRole('link', { name: 'Roof north' }).waitFor();
    await page.getByRole('link', { name: '1 receiving' }).click();
    await page
      .getByRole('row', { name: /Roof north/ })
      .getByText('receiving')
      .waitFor();
    await page.getByRole('link', { name: 'Roof north' }).click();
    await page.getByRole('heading', { name: 'Roof north' }).waitFor();
    await page.getByRole('button', { name: 'Kick' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Kick' }).click();
    await page.getByText('1 connection closed').waitFor();
    socket.destroy();
  });

  it('register a sensor that knocks', async () => {
    const page = await browser.openAsAdministrator();
    await page.goto('/enrolment');
    const uuid = newSensorId();
    const socket = await connectSensor();
    socket.end(encoderFor(uuid, 'whatever').encode(3, Buffer.from('x\n'), 1));
    await page
      .getByRole('row', { name: new RegExp(uuid.slice(0, 8)) })
      .getByRole('button', { name: 'Register' })
      .click();
    const dialog = page.getByRole('dialog');
    assert.equal(await dialog.getByLabel('Uuid').inputValue(), uuid);
    await dialog.getByLabel('Key', { exact: true }).fill('whatever');
    await dialog.getByLabel('Name').fill('Cellar');
    await dialog.getByRole('button', { name: 'Register' }).click();
    await page.getByRole('heading', { name: 'Cellar' }).waitFor();
    socket.destroy();
  });

  it('make a command with which a sensor enrols by itself; it appears, and its data reaches the overview', async () => {
    const page = await browser.openAsAdministrator();
    await page.goto('/enrolment');
    await page.getByRole('button', { name: 'Add a sensor' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Name').fill('Attic');
    assert.deepEqual(await accessibilityFaults(page), []);
    await dialog.getByRole('button', { name: 'Make the command' }).click();
    const command = (await dialog.getByRole('region', { name: 'Command' }).innerText()).trim();
    assert.match(command, /^d4 client enroll d4e1_[\w-]+ -c d4-sensor$/);
    await dialog.getByText('Waiting for the sensor').waitFor();
    assert.deepEqual(await accessibilityFaults(page), []);

    const directory = mkdtempSync(join(tmpdir(), 'd4-enrolled-'));
    const [, ...words] = command.split(' ');
    const enrolled = await runD4(words, { directory });
    assert.equal(enrolled.code, 0, enrolled.stderr);
    await dialog.getByText('has enrolled, from 127.0.0.1').waitFor();
    await dialog.getByRole('button', { name: 'Done' }).click();
    await page.getByRole('row', { name: /^Attic type 3 used/ }).waitFor();
    assert.equal(await page.getByRole('button', { name: 'Revoke' }).count(), 0);

    await page.getByRole('link', { name: 'Overview', exact: true }).click();
    const client = startD4(['client', '-c', 'd4-sensor'], {}, directory);
    client.stdin.write('from the attic\n');
    await page.getByRole('region', { name: 'Sensors today' }).getByRole('link', { name: 'Attic' }).waitFor();
    await page.getByRole('link', { name: /^[0-9]+ receiving$/ }).waitFor();
    client.stdin.end();
    const [code] = await once(client, 'close');
    assert.equal(code, 0);
    rmSync(directory, { recursive: true });
  });

  it('register a sensor and hand out its configuration; revoke a command', async () => {
    const page = await browser.openAsAdministrator();
    await page.goto('/enrolment');
    await page.getByRole('button', { name: 'Add a sensor' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByRole('tab', { name: 'By file' }).click();
    await dialog.getByLabel('Name').fill('With a file');
    await dialog.getByLabel('Server, as the sensor reaches it').fill('elsewhere.example.org:4443');
    await dialog.getByRole('button', { name: 'Register and download' }).click();
    await dialog.getByRole('alert').getByText('D4_BAD_SERVER').waitFor();
    await dialog.getByLabel('Server, as the sensor reaches it').fill('');
    const downloading = page.waitForEvent('download');
    await dialog.getByRole('button', { name: 'Register and download' }).click();
    const download = await downloading;
    assert.match(download.suggestedFilename(), /^d4-sensor-[0-9a-f]{8}\.tar\.gz$/);
    const archive = gunzipSync(readFileSync(await download.path())).toString('latin1');
    for (const content of ['/rootCA.crt', browser.server.info.listen]) assert.ok(archive.includes(content), content);
    await dialog.getByRole('button', { name: 'Done' }).click();
    await browser.ask('POST', '/enrolments', { name: 'Not meant' });
    const row = page.getByRole('row', { name: /^Not meant/ });
    await row.getByRole('button', { name: 'Revoke' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Revoke' }).click();
    await page.getByText('The command works no longer').waitFor();
    await row.getByText('revoked').waitFor();
  });

  it('make a queue of one sensor, and show what waits in it', async () => {
    const page = await browser.openAsAdministrator();
    const [inside, outside] = [newSensorId(), newSensorId()];
    for (const uuid of [inside, outside]) await browser.ask('POST', '/sensors', { uuid, key: 'k', approve: true });
    await page.goto('/queues');
    await page.getByRole('button', { name: 'New queue' }).first().click();
    const dialog = page.getByRole('dialog');
    await dialog.getByRole('combobox', { name: 'Type' }).click();
    await page.getByRole('option', { name: /^3 / }).click();
    await dialog.getByLabel('Description').fill('for one analyzer');
    await dialog.getByLabel('Only these sensors').fill(inside);
    await dialog.getByRole('button', { name: 'Make the queue' }).click();
    await page.getByRole('heading', { name: 'for one analyzer' }).waitFor();
    await page.getByText('Nothing waits').waitFor();
    for (const [uuid, text] of [
      [outside, 'not wanted\n'],
      [inside, '<img src=x onerror=alert(1)>\nsecond\n'],
    ] as const) {
      const socket = await connectSensor();
      socket.end(encoderFor(uuid, 'k').encode(3, Buffer.from(text), 1));
    }
    const items = page.getByRole('list', { name: 'Oldest items' }).getByRole('listitem');
    while ((await items.count()) < 2) {
      const answered = page.waitForResponse((response) => response.url().includes('/items'));
      await page.getByRole('button', { name: 'Refresh' }).click();
      await answered;
    }
    assert.deepEqual(await items.allInnerTexts(), ['1\n<img src=x onerror=alert(1)>', '2\nsecond']);
    await page.getByText('Hex', { exact: true }).click();
    await page.getByText('0000  73 65 63 6f 6e 64').waitFor();
    assert.match(
      (await page.getByRole('region', { name: 'For redis-cli' }).innerText()).trim(),
      /^redis-cli -h 127\.0\.0\.1 .* BRPOP analyzer:3:/,
    );
  });

  it('let a viewer change nothing, by the interface neither', async () => {
    const viewer = { mail: 'viewer@example.org', password: 'marble engine winter plough' };
    await browser.ask('POST', '/users', { ...viewer, role: 'viewer', mustChangePassword: false });
    const uuid = newSensorId();
    await browser.ask('POST', '/sensors', { uuid, key: 'k', name: 'Looked at' });
    const page = await browser.open();
    await signIn(page, viewer.mail, viewer.password);
    await page.getByRole('heading', { name: 'Overview' }).waitFor();
    for (const [path, words] of [
      ['/sensors', ['Add a sensor']],
      ['/enrolment', ['Add a sensor', 'Approve', 'Refuse']],
      ['/queues', ['New queue']],
      ['/types', ['Accept a type']],
      ['/blocks', ['Block something']],
      [`/sensors/${uuid}`, ['Approve', 'Edit', 'Kick', 'Block']],
    ] as const) {
      await follow(page, path, path.startsWith('/sensors/') ? 'Looked at' : HEADINGS[path]);
      for (const name of words) assert.equal(await page.getByRole('button', { name }).count(), 0, `${path}: ${name}`);
    }
    const refused = await page.evaluate(`(async () => {
      const { csrfToken } = await (await fetch('/api/v1/session')).json();
      const headers = { 'x-csrf-token': csrfToken };
      const paths = ['/sensors/${uuid}/approve', '/sensors/${uuid}/kick', '/sensors/${uuid}/key/reveal'];
      return Promise.all(paths.map(async (path) => (await fetch('/api/v1' + path, { method: 'POST', headers })).status));
    })()`);
    assert.deepEqual(refused, [403, 403, 403]);
  });

  it('send a browser whose session was ended elsewhere to the login page', async () => {
    const mail = 'twice@example.org';
    const password = 'copper meadow lantern sixteen';
    await browser.ask('POST', '/users', { mail, password, role: 'user', mustChangePassword: false });
    const [first, second] = [await browser.open(), await browser.open()];
    for (const page of [first, second]) {
      await signIn(page, mail, password);
      await page.getByRole('heading', { name: 'Overview' }).waitFor();
    }
    await first.getByRole('button', { name: new RegExp(mail) }).click();
    await first.getByRole('menuitem', { name: 'Sign out everywhere' }).click();
    await second.getByRole('heading', { name: 'Sign in to D4' }).waitFor();
  });

  it('are led through by keyboard', async () => {
    const page = await browser.openAsAdministrator();
    await page.goto('/');
    await page.getByRole('heading', { name: 'Overview' }).waitFor();
    await page.keyboard.press('g');
    await page.keyboard.press('q');
    await page.getByRole('heading', { name: 'Queues' }).waitFor();
    await page.keyboard.press('/');
    await page.getByLabel('Search sensors').waitFor();
    assert.equal(await page.evaluate("document.activeElement?.getAttribute('aria-label')"), 'Search sensors');
    await page.keyboard.press('Escape');
    await page.getByRole('heading', { name: 'Sensors' }).click();
    await page.keyboard.press('?');
    await page.getByRole('dialog', { name: 'Keyboard' }).waitFor();
  });

  it('filter sensors by owner and group, and keep that in the address', async () => {
    const uuids = [newSensorId(), newSensorId(), newSensorId()];
    for (const [at, uuid] of uuids.entries()) {
      const mail = at === 0 ? 'others@example.org' : 'group@example.org';
      await browser.ask('POST', '/sensors', { uuid, key: 'k', name: `Grouped ${at}`, mail, approve: true });
    }
    const description = 'the group of two';
    const { uuid } = await browser.ask<{ uuid: string }>('POST', '/queues', {
      ...{ type: '3', description, group: uuids.slice(0, 2) },
    });
    const page = await browser.openAsAdministrator();
    await page.goto('/sensors');
    await page.getByLabel('Owner').selectOption('group@example.org');
    await page.getByText('2 found').waitFor();
    await page.getByLabel('Group', { exact: true }).selectOption(uuid);
    await page.getByText('1 found').waitFor();
    await page.getByRole('link', { name: 'Grouped 1' }).waitFor();
    assert.equal(new URL(page.url()).search, `?mail=group%40example.org&group=${uuid}`);
    await follow(page, `/sensors?group=${uuid}`, 'Sensors');
    await page.getByText('2 found').waitFor();
    assert.equal(await page.getByRole('link', { name: 'Grouped 2' }).count(), 0);
    await page.getByRole('link', { name: 'Grouped 0' }).click();
    await page.getByRole('heading', { name: 'Grouped 0' }).waitFor();
  });

  it('tell of a change that somebody else made meanwhile, and start over from it', async () => {
    const uuid = newSensorId();
    await browser.ask('POST', '/sensors', { uuid, key: 'k', name: 'Edited by two', approve: true });
    const page = await browser.openAsAdministrator();
    await page.goto(`/sensors/${uuid}`);
    await page.getByRole('button', { name: 'Edit' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Description').fill('mine');
    await browser.ask('PATCH', `/sensors/${uuid}`, { description: 'theirs' });
    await dialog.getByRole('button', { name: 'Save' }).click();
    await dialog.getByText(/It was changed by local \(description\) after you read it/).waitFor();
    await dialog.getByText('D4_CHANGED_MEANWHILE').waitFor();
    const sensor = await browser.ask<{ description: string }>('GET', `/sensors/${uuid}`);
    assert.equal(sensor.description, 'theirs');
    await page.getByText('theirs', { exact: true }).waitFor();
    await dialog.getByRole('button', { name: 'Start over with what it is now' }).click();
    assert.equal(await dialog.getByLabel('Description').inputValue(), 'theirs');
    await dialog.getByLabel('Description').fill('both');
    await dialog.getByRole('button', { name: 'Save' }).click();
    await page.getByText('both', { exact: true }).waitFor();
  });

  it("issue a queue's credential, rewind and replay", async () => {
    const sensor = newSensorId();
    await browser.ask('POST', '/sensors', { uuid: sensor, key: 'k', approve: true });
    const draft = { type: '3', description: 'read again', group: [sensor] };
    const { uuid, key } = await browser.ask<{ uuid: string; key: string }>('POST', '/queues', draft);
    const socket = await connectSensor();
    socket.write(encoderFor(sensor, 'k').encode(3, Buffer.from('one\ntwo\nthree\n'), 1));
    const taken = async () => (await browser.ask<Records>('GET', `/queues/${uuid}/records?wait=20&limit=10`)).items;
    const ids: string[] = [];
    while (ids.length < 3) ids.push(...(await taken()).map(({ id }) => id));
    await browser.ask('POST', `/queues/${uuid}/acknowledge`, { ids: ids.slice(0, 2) });
    socket.destroy();

    const page = await browser.openAsAdministrator();
    await page.goto(`/queues/${uuid}`);
    await page.getByText('1 item handed out over HTTP and not acknowledged yet').waitFor();
    const again = page.getByRole('region', { name: 'Again' });
    await again.getByRole('button', { name: 'Rewind' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Rewind' }).click();
    await page.getByText(/^\d items come again, from /).waitFor();
    await again.getByRole('button', { name: 'Replay' }).click();
    const dialog = page.getByRole('dialog', { name: 'Replay' });
    await dialog.getByLabel('To', { exact: true }).fill('1999-01-01T00:00:00');
    await dialog.getByRole('button', { name: 'Begin the replay' }).click();
    await dialog.getByText('Later than the beginning').waitFor();
    await dialog.getByLabel('To', { exact: true }).fill('2999-01-01T00:00:00');
    await dialog.getByRole('button', { name: 'Begin the replay' }).click();
    const replay = again.getByRole('table', { name: 'Replays' }).getByRole('row', { name: /^type 3/ });
    await replay.getByText('0 taken, 3 left').waitFor();
    await replay.getByRole('button', { name: 'Cancel' }).click();
    await replay.getByText('cancelled').waitFor();

    await page.getByRole('button', { name: 'Issue one' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Issue it' }).click();
    const secret = (await page.getByRole('dialog').getByRole('region', { name: 'credential' }).innerText()).trim();
    const [host = '', port] = browser.server.info.redis.split(':');
    const consumer = new Redis({ host, port: Number(port), db: 2, password: secret });
    assert.equal(await consumer.rpop(key), 'one');
    consumer.disconnect();
    await page.getByRole('dialog').getByRole('button', { name: 'I have it' }).click();
    await page.getByText('take items', { exact: true }).waitFor();
  });

  it('make an exporter, and change it', async () => {
    const page = await browser.openAsAdministrator();
    await page.goto('/exporters');
    await page.getByRole('button', { name: 'New exporter' }).first().click();
    const dialog = page.getByRole('dialog');
    await dialog.getByRole('button', { name: 'Make and start it' }).click();
    await dialog.getByText('Choose a type').waitFor();
    await dialog.getByLabel('Name').fill('to-the-lab');
    await dialog.getByRole('combobox', { name: 'Type' }).click();
    await page.getByRole('option', { name: /^3 / }).click();
    await dialog.getByRole('combobox', { name: 'To', exact: true }).click();
    await page.getByRole('option', { name: 'TCP', exact: true }).click();
    await dialog.getByLabel('Host').fill('127.0.0.1');
    await dialog.getByLabel('Port').fill('9');
    await dialog.getByRole('button', { name: 'Make and start it' }).click();
    const row = page.getByRole('row', { name: /to-the-lab/ }).first();
    await row.waitFor();
    await row.getByRole('button', { name: /to-the-lab/ }).click();
    await page.getByRole('menuitem', { name: 'Edit' }).click();
    await dialog.getByLabel('Port').fill('10');
    await dialog.getByRole('button', { name: 'Save' }).click();
    await dialog.waitFor({ state: 'hidden' });
    const { target } = await browser.ask<{ target: object }>('GET', '/exporters/to-the-lab');
    assert.deepEqual(target, { kind: 'tcp', host: '127.0.0.1', port: 10 });
    await row.getByRole('button', { name: /to-the-lab/ }).click();
    await page.getByRole('menuitem', { name: 'Pause' }).click();
    await page.getByText('to-the-lab is paused').waitFor();
  });

  it('block an address until a time, and let it in again', async () => {
    const page = await browser.openAsAdministrator();
    await page.goto('/blocks');
    await page.getByRole('button', { name: 'Block something' }).first().click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Address, network or uuid').fill('nonsense');
    await dialog.getByRole('button', { name: 'Block', exact: true }).click();
    await dialog.getByText('D4_BAD_BLOCK').waitFor();
    await dialog.getByLabel('Address, network or uuid').fill('198.51.100.0/24');
    await dialog.getByLabel('Reason').fill('scans');
    await dialog.getByRole('combobox', { name: 'Ends' }).click();
    await page.getByRole('option', { name: 'in a day' }).click();
    await dialog.getByRole('button', { name: 'Block', exact: true }).click();
    const row = page.getByRole('row', { name: /198\.51\.100\.0\/24/ });
    await row.getByText(/^in (?:23|24) h$/).waitFor();
    await row.getByText(ADMINISTRATOR.mail).waitFor();
    await row.getByRole('button', { name: /Remove the block/ }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Remove the block' }).click();
    await row.waitFor({ state: 'detached' });
  });

  it('name sensors in archive and audit, and write spans and times there as people do', async () => {
    const uuid = newSensorId();
    await browser.ask('POST', '/sensors', { uuid, key: 'k', name: 'Roof west', approve: true });
    await browser.ask('PATCH', `/sensors/${uuid}`, { archiveMaxAgeMs: 3_600_000 });
    const socket = await connectSensor();
    socket.end(encoderFor(uuid, 'k').encode(3, Buffer.from('archived\n'), 1));
    const files = () => browser.ask<{ items: object[] }>('GET', `/archive/files?sensor=${uuid}`);
    await until(async () => (await files()).items.length > 0, 'the file is archived');
    const page = await browser.openAsAdministrator();
    await page.goto(`/archive?sensor=${newSensorId()}`);
    await page.getByText('No file is like that').waitFor();
    await page.getByRole('button', { name: 'Show all' }).click();
    const sensor = page.getByRole('combobox', { name: 'Sensor' });
    await page.waitForURL(/\/archive$/);
    assert.equal(await sensor.inputValue(), '');
    await sensor.fill('oof wes');
    await page.getByRole('option', { name: `Roof west · ${uuid}` }).click();
    await page.waitForURL(`**/archive?sensor=${uuid}`);
    await page.reload();
    await until(async () => (await sensor.inputValue()).startsWith('Roof west'), 'its name stands in the field');
    const file = page.getByRole('row', { name: /Roof west/ });
    await file.getByRole('link', { name: 'Roof west' }).first().waitFor();
    await file.getByText(`${uuid.slice(0, 8)}…${uuid.slice(-4)}`).waitFor();

    await follow(page, `/audit?text=${uuid}`, 'Audit');
    const record = page.getByRole('row', { name: /sensor changed/ });
    await record.getByRole('cell', { name: /^Roof west/ }).waitFor();
    await record.getByRole('button', { name: /^Details/ }).click();
    await page.getByText('archive max age').waitFor();
    await page.getByRole('insertion').getByText('1 h', { exact: true }).waitFor();
  });

  // The last: sensors that have pinned the server's own authority cannot come after it.
  it('replace the certificate, and say when sensors would refuse it', async () => {
    const { key, cert, ca, fingerprint } = await makeTestCertificates();
    const page = await browser.openAsAdministrator();
    await page.goto('/settings');
    await page.getByRole('button', { name: 'Replace' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel(/^Private key, certificate/).fill(cert);
    await dialog.getByRole('button', { name: 'Replace it now' }).click();
    await dialog.getByText('The private key and the certificate, both in PEM').waitFor();
    await dialog.getByLabel(/^Private key, certificate/).fill(`${key}\n${cert}\n${ca}`);
    await dialog.getByRole('button', { name: 'Replace it now' }).click();
    await dialog.getByText('D4_OTHER_AUTHORITY').waitFor();
    await dialog.getByLabel(/^Also if what sensors have pinned/).check();
    await dialog.getByRole('button', { name: 'Replace it now' }).click();
    await page.getByText(fingerprint).waitFor();
  });
});
