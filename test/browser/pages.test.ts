import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { connect, type TLSSocket } from 'node:tls';
import { FrameEncoder, newSensorId, PROTOCOL_VERSION, type SensorId } from '@d4ts/protocol';
import {
  ADMINISTRATOR,
  type BrowserUnderTest,
  firstLogin,
  firstPassword,
  signIn,
  startBrowser,
} from './browser-fixture.ts';

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
      await page.goto(path);
      await page.locator('#main h1').waitFor();
      await page.getByRole('status', { name: 'Loading' }).first().waitFor({ state: 'hidden' });
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
});
