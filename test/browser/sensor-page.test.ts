import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { WIRE_TYPE } from '@d4ts/protocol';
import { addSensor, until, wire } from '../monitored-server.ts';
import { accessibilityFaults, type BrowserUnderTest, follow, startBrowser } from './browser-fixture.ts';

const CAPTURE = join(import.meta.dirname, '..', 'data', 'samples', 'dns_responses.pcap');

interface Files {
  readonly items: readonly { readonly path: string; readonly state: string }[];
}

describe("a sensor's page", () => {
  let browser: BrowserUnderTest;

  before(async () => {
    browser = await startBrowser();
  });
  after(() => browser[Symbol.asyncDispose]());

  async function openSensor(uuid: string) {
    const page = await browser.openAsAdministrator();
    await page.goto(`/sensors/${uuid}`);
    return page;
  }

  it('shows lines as they come: folded where they are JSON, paused, filtered, and never as a part of the page', async () => {
    const uuid = await addSensor(browser.server, { name: 'Live' });
    const sensor = await wire(browser.server, uuid);
    sensor.send('before\n');
    const page = await openSensor(uuid);
    await page.getByRole('button', { name: 'Watch what it sends' }).click();
    await page.getByText('Live', { exact: true }).nth(2).waitFor();
    const log = page.getByRole('log', { name: 'Records' });
    sensor.send('<b onmouseover="alert(1)">bold</b>\n{"id":12345678901234567890,"a":{"b":1}}\n\u001b[31mred\n');
    await log.getByText('<b onmouseover="alert(1)">bold</b>').waitFor();
    await log.getByText('␛[31mred').waitFor();
    assert.equal(await log.locator('b').count(), 0);
    assert.equal(await log.getByText('before').count(), 0);
    await log.getByRole('button', { name: 'Unfold' }).click();
    await log.getByText(/^\{\s+"id": 12345678901234567890,\s+"a": \{\s+"b": 1/).waitFor();
    assert.deepEqual(await accessibilityFaults(page), []);

    await page.getByRole('button', { name: 'Pause' }).click();
    sensor.send('while paused\n');
    await page.getByText('3 shown · 1 came since the pause').waitFor();
    assert.equal(await log.getByText('while paused').count(), 0);
    await page.getByRole('button', { name: 'Go on' }).click();
    await log.getByText('while paused').waitFor();
    await page.getByLabel('Only records with').fill('RED');
    await page.getByText('1 shown').waitFor();
    await page.getByLabel('Only records with').fill('');

    sensor.send(Array.from({ length: 500 }, (_, at) => `flood ${at}\n`).join(''));
    await page.getByText(/[0-9]+ skipped: more came than can be shown/).waitFor();
    await sensor.end();
  });

  it('shows packets as summaries', async () => {
    const uuid = await addSensor(browser.server, { name: 'Capture' });
    const page = await openSensor(uuid);
    await page.getByRole('button', { name: 'Watch what it sends' }).click();
    await page.getByText('Waiting for its next record').waitFor();
    await page.locator('[data-connection=open]').waitFor();
    const sensor = await wire(browser.server, uuid, WIRE_TYPE.pcap);
    sensor.send(readFileSync(CAPTURE));
    const first = page
      .getByRole('log', { name: 'Records' })
      .getByText(/^8\.8\.8\.8:53 > 10\.0\.0\.66:\d+ UDP DNS \d+ B/)
      .first();
    await first.waitFor();
    const timeline = page.getByRole('figure', { name: 'Sessions by address' });
    await timeline.getByText('As a table').click();
    await timeline.getByRole('row', { name: /^127\.0\.0\.1 1 .* connected/ }).waitFor();
    await sensor.end();
  });

  it('replaces the key; both work until the overlap is ended', async () => {
    const uuid = await addSensor(browser.server, { name: 'Two keys' });
    const page = await openSensor(uuid);
    await page.getByRole('button', { name: 'More to do with this sensor' }).click();
    await page.getByRole('menuitem', { name: 'Replace the key' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('New key').fill('the second key');
    await dialog.getByRole('button', { name: 'Replace' }).click();
    await page.getByText('Key before this one').waitFor();

    const before = await wire(browser.server, uuid, WIRE_TYPE.lines);
    const now = await wire(browser.server, uuid, WIRE_TYPE.ndjson);
    before.send('with the first key\n');
    now.send('{"with":"the second key"}\n', { key: 'the second key' });
    const connections = page.getByRole('region', { name: 'Connections now' });
    await connections.getByRole('row', { name: /^3 .*key before/ }).waitFor();
    await connections.getByRole('row', { name: /^6 / }).waitFor();

    await page.getByRole('button', { name: 'More to do with this sensor' }).click();
    await page.getByRole('menuitem', { name: 'End the overlap of keys' }).click();
    await page.getByText('Only the new key holds now').waitFor();
    before.send('with the first key, again\n');
    await connections.getByRole('row', { name: /^3 / }).waitFor({ state: 'detached' });
    await connections.getByRole('row', { name: /^6 / }).waitFor();
    await now.end();
  });

  it('hands out an archived file as it was sent', async () => {
    const uuid = await addSensor(browser.server, { name: 'Archived' });
    const sensor = await wire(browser.server, uuid);
    const lines = Array.from({ length: 200 }, (_, at) => `line ${at}\n`).join('');
    sensor.send(lines);
    await sensor.end();
    let files: Files = { items: [] };
    await until(async () => {
      files = await browser.ask<Files>('GET', `/archive/files?sensor=${uuid}`);
      return files.items[0]?.state === 'there';
    }, 'the file is finished');
    const page = await openSensor(uuid);
    const downloading = page.waitForEvent('download');
    await page.getByRole('link', { name: /^Download / }).click();
    const download = await downloading;
    assert.equal(readFileSync(await download.path(), 'utf8'), lines);
    const stored = readFileSync(files.items[0]?.path ?? '');
    assert.equal(gunzipSync(stored).toString(), lines);
  });

  it("hands out the client's configuration, the key in it", async () => {
    const uuid = await addSensor(browser.server, { name: 'Configured' });
    const page = await openSensor(uuid);
    await page.getByRole('button', { name: 'More to do with this sensor' }).click();
    await page.getByRole('menuitem', { name: 'Configuration for the client' }).click();
    const dialog = page.getByRole('dialog');
    const downloading = page.waitForEvent('download');
    await dialog.getByRole('button', { name: 'Download it with the key' }).click();
    const download = await downloading;
    assert.equal(download.suggestedFilename(), `d4-sensor-${uuid.slice(0, 8)}.tar.gz`);
    const archive = gunzipSync(readFileSync(await download.path())).toString('latin1');
    for (const content of [uuid, 'a key of its own', browser.server.info.listen]) assert.ok(archive.includes(content));
    await dialog.getByText(`tar -xzf d4-sensor-${uuid.slice(0, 8)}.tar.gz`).waitFor();
  });

  it('sets rules, and erases what was sent once that is typed in', async () => {
    const uuid = await addSensor(browser.server, { name: 'Ruled' });
    const page = await openSensor(uuid);
    await page.getByRole('button', { name: 'Change the rules' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Expected interval').fill('ten minutes');
    await dialog.getByRole('button', { name: 'Save' }).click();
    await dialog.getByText('A time such as 10 min').waitFor();
    await dialog.getByLabel('Expected interval').fill('10 min');
    await dialog.getByRole('switch', { name: 'Only with acknowledgement' }).check({ force: true });
    await dialog.getByRole('button', { name: 'Save' }).click();
    await page.getByText('silent after 10 min without data').waitFor();
    await page.getByText('with acknowledgement; anything else is refused').waitFor();

    await page.getByRole('button', { name: 'More to do with this sensor' }).click();
    await page.getByRole('menuitem', { name: 'Erase its data' }).click();
    const erase = dialog.getByRole('button', { name: 'Erase it all' });
    assert.ok(await erase.isDisabled());
    await dialog.getByLabel(/^Type .* to confirm$/).fill(uuid.slice(0, 8));
    await erase.click();
    await page.getByText('It is being erased').waitFor();
    await page.getByRole('link', { name: 'Storage' }).click();
    await page.getByRole('region', { name: 'Erased on request' }).getByText(uuid.slice(0, 8)).waitFor();
  });

  it('is not taken in by what sensors and users write', async () => {
    const evil = `"><img src=x onerror="window.taken=1"><script>window.taken=1</script>`;
    const uuid = await addSensor(browser.server, {
      name: evil,
      description: evil,
      tags: ['<script>window.taken=1</script>', 'javascript:window.taken=1'],
      mail: `javascript:window.taken=1//<b>@example.org`,
      expectedIntervalSeconds: 1,
    });
    await browser.ask('POST', '/blocks', { target: '192.0.2.9', reason: evil });
    const queue = await browser.ask<{ uuid: string }>('POST', '/queues', { type: '3', description: evil });
    const target = { kind: 'file', path: `/nowhere/${evil}` };
    await browser.ask('POST', '/exporters', { name: 'evil', type: '3', description: evil, target });
    const user = { mail: `"<img>"@example.org`, role: 'viewer' };
    await browser.ask('POST', '/users', user).catch(() => undefined);
    await browser.ask('POST', '/types', { name: 'filewatcher' }).catch(() => undefined);
    const lines = await wire(browser.server, uuid);
    const declared = await wire(browser.server, uuid, WIRE_TYPE.declared);
    const unknown = await wire(browser.server, uuid, WIRE_TYPE.declared);
    lines.send(`${evil}\n`);
    const meta = { type: 'filewatcher', extension: `x"><img src=x onerror=window.taken=1>`, note: evil };
    declared.send(JSON.stringify(meta), { type: WIRE_TYPE.metaHeader });
    declared.send(`${Buffer.from(evil).toString('base64')}\n`);
    unknown.send(JSON.stringify({ type: evil }), { type: WIRE_TYPE.metaHeader });

    const page = await openSensor(uuid);
    page.on('dialog', (dialog) => assert.fail(dialog.message()));
    await page.getByRole('heading', { name: evil }).waitFor();
    await page.getByRole('button', { name: 'Watch what it sends' }).click();
    await page.locator('[data-connection=open]').waitFor();
    lines.send(`${evil}\n`);
    declared.send(`${Buffer.from(`${evil}2`).toString('base64')}\n`);
    await page.getByRole('log', { name: 'Records' }).getByText(evil).waitFor();
    await until(async () => {
      const { items } = await browser.ask<Files>('GET', `/archive/files?sensor=${uuid}`);
      return items.length > 0;
    }, 'a file is there');
    for (const path of [
      '/',
      '/sensors',
      `/queues/${queue.uuid}`,
      '/queues',
      '/exporters',
      '/blocks',
      '/people',
      '/alerts',
      '/audit',
      '/enrolment',
      `/archive?sensor=${uuid}`,
      `/sensors/${uuid}`,
    ]) {
      await follow(page, path);
      assert.equal(await page.evaluate('window.taken'), undefined, path);
      assert.equal(await page.locator('#main img, #main script, #main a[href^="javascript:"]').count(), 0, path);
    }
    for (const sensor of [lines, declared, unknown]) sensor.socket.destroy();
  });
});
