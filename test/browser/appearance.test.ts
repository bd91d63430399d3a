import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { newSensorId } from '@d4ts/protocol';
import { accessibilityFaults, type BrowserUnderTest, follow, startBrowser } from './browser-fixture.ts';

/** Where the pages are, and what their heading says. */
const PAGES: readonly (readonly [path: string, heading: string])[] = [
  ['/', 'Overview'],
  ['/sensors', 'Sensors'],
  ['/enrolment', 'Enrolment'],
  ['/alerts', 'Alerts'],
  ['/maltrail', 'Maltrail'],
  ['/queues', 'Queues'],
  ['/exporters', 'Exporters'],
  ['/archive', 'Archive'],
  ['/storage', 'Storage'],
  ['/types', 'Types'],
  ['/blocks', 'Blocks'],
  ['/people', 'People'],
  ['/audit', 'Audit'],
  ['/settings', 'Settings'],
  ['/account', 'Account'],
];

describe('the look of every page', () => {
  let browser: BrowserUnderTest;

  before(async () => {
    browser = await startBrowser();
  });
  after(() => browser[Symbol.asyncDispose]());

  it('is accessible wide and light; dark and narrow it has contrast, and neither it nor a table in it scrolls sideways', async () => {
    const page = await browser.openAsAdministrator({ viewport: { width: 1440, height: 800 }, colorScheme: 'light' });
    const uuid = newSensorId();
    await browser.ask('POST', '/sensors', { uuid, key: 'k', name: 'Looked at' });
    await browser.ask('POST', '/blocks', { target: '192.0.2.7', reason: 'knocks' });
    const target = { kind: 'tcp', host: '127.0.0.1', port: 9 };
    await browser.ask('POST', '/exporters', { name: 'somewhere', type: '3', target });
    await browser.ask('POST', '/alerts/test');
    const queue = await browser.ask<{ uuid: string }>('POST', '/queues', { type: '3', description: 'Peeked' });
    const pages = [...PAGES, [`/sensors/${uuid}`, 'Looked at'], [`/queues/${queue.uuid}`, 'Peeked']] as const;
    await page.goto('/');
    await page.locator('#main h1').waitFor();
    for (const [path, heading] of pages) {
      await follow(page, path, heading);
      assert.deepEqual(await accessibilityFaults(page), [], path);
    }
    await page.emulateMedia({ colorScheme: 'dark', reducedMotion: 'reduce' });
    await page.setViewportSize({ width: 380, height: 800 });
    for (const [path, heading] of pages) {
      await follow(page, path, heading);
      assert.deepEqual(await accessibilityFaults(page, ['color-contrast']), [], `${path}, dark`);
      const tooWide = await page.evaluate(
        'document.documentElement.scrollWidth - document.documentElement.clientWidth',
      );
      assert.equal(tooWide, 0, `${path} scrolls sideways`);
      // What can be done with a row stands at its end: it must not have to be looked for.
      const cut = await page.evaluate(
        "[...document.querySelectorAll('#main section > div')].filter((part) => part.scrollWidth > part.clientWidth).map((part) => part.innerText.slice(0, 60))",
      );
      assert.deepEqual(cut, [], `${path}: a table scrolls sideways`);
    }
  });
});
