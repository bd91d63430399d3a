import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { launchServer, type ServerProcess } from '@d4ts/testkit';
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from 'playwright-core';

/** Debian's, which `npm test` installs; another one by CHROMIUM. */
export const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';

const ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** What a page may wait for, in ms. */
const PATIENCE_MS = 20_000;

/** The administrator of the first start, as these tests set it. */
export const ADMINISTRATOR = { mail: 'admin@admin.test', password: 'quiet harbour violin lantern' } as const;

/** A real server, and a real browser that looks at its pages. */
export interface BrowserUnderTest extends AsyncDisposable {
  readonly server: ServerProcess;
  /**
   * A window of its own: nobody is signed in, and nothing is shared with others. What its pages say to the console, what
   * they fail with and what the content security policy stops is gathered; the test fails on it at the end.
   */
  open(options?: BrowserContextOptions): Promise<Page>;
  /**
   * A window in which the administrator is signed in, with the first password changed. All that were opened before are
   * closed: their pages would go on asking and drawing beside the test. Without options it is one browser that remembers
   * what it has loaded, for all tests.
   */
  openAsAdministrator(options?: BrowserContextOptions): Promise<Page>;
  /** Asks the interface as the local administrator. @returns the answer's document */
  ask<T = unknown>(method: string, path: string, json?: object): Promise<T>;
}

/** Starts a server with a home of its own, and the browser. */
export async function startBrowser(): Promise<BrowserUnderTest> {
  const server = await launchServer();
  const browser = await launchBrowser(server);
  const complaints: string[] = [];
  const contexts: BrowserContext[] = [];
  let administrator: BrowserContext | undefined;

  async function open(options: BrowserContextOptions = {}): Promise<Page> {
    const context = await browser.newContext({
      baseURL: server.info.url,
      ignoreHTTPSErrors: true,
      reducedMotion: 'reduce',
      ...options,
    });
    contexts.push(context);
    context.setDefaultTimeout(PATIENCE_MS);
    return watched(await context.newPage());
  }

  function watched(page: Page): Page {
    page.on('pageerror', (error) => complaints.push(`${page.url()}: ${error.message}`));
    page.on('console', (message) => {
      // A request that the server refuses is said so by the browser; the pages show it, and the tests look there.
      if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) {
        complaints.push(`${page.url()}: ${message.text()}`);
      }
    });
    return page;
  }

  return {
    server,
    open,
    async openAsAdministrator(options) {
      for (const context of contexts.splice(0)) if (context !== administrator) await context.close();
      if (administrator === undefined) {
        const page = await open();
        if (existsSync(join(server.home, 'DEFAULT_PASSWORD'))) {
          await firstLogin(page, firstPassword(server), ADMINISTRATOR.password);
        } else {
          await signIn(page, ADMINISTRATOR.mail, ADMINISTRATOR.password);
          await page.getByRole('heading', { name: 'Overview' }).waitFor();
        }
        administrator = page.context();
        if (options === undefined) return page;
      }
      for (const page of administrator.pages()) await page.close();
      if (options === undefined) return watched(await administrator.newPage());
      return open({ ...options, storageState: await administrator.storageState() });
    },
    async ask<T>(method: string, path: string, json?: object): Promise<T> {
      const context = await browser.newContext({ baseURL: server.info.url, ignoreHTTPSErrors: true });
      const answer = await context.request.fetch(`/api/v1${path}`, {
        method,
        headers: { authorization: `Bearer ${server.info.token}` },
        ...(json !== undefined && { data: json }),
      });
      const text = await answer.text();
      await context.close();
      assert.ok(answer.ok(), `${method} ${path}: ${answer.status()} ${text}`);
      return (text === '' ? undefined : JSON.parse(text)) as T;
    },
    async [Symbol.asyncDispose]() {
      await browser.close();
      await server.dispose();
      assert.deepEqual(complaints, [], 'a page complained');
    },
  };
}

async function launchBrowser(server: ServerProcess): Promise<Browser> {
  try {
    return await chromium.launch({ executablePath: CHROMIUM, args: ARGUMENTS });
  } catch (error) {
    await server.dispose();
    throw error;
  }
}

/** The password that the server made at its first start. */
export function firstPassword(server: ServerProcess): string {
  const [, password] = /^password=(.*)$/m.exec(readFileSync(join(server.home, 'DEFAULT_PASSWORD'), 'utf8')) ?? [];
  assert.ok(password, 'DEFAULT_PASSWORD has a password');
  return password;
}

/** Fills in the login page and sends it. */
export async function signIn(page: Page, mail: string, password: string): Promise<void> {
  await page.goto('/');
  await page.getByLabel('Mail address').fill(mail);
  await page.getByLabel('Password', { exact: true }).fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

/** Signs in for the first time, and changes the password as it is asked for. */
export async function firstLogin(page: Page, password: string, next: string): Promise<void> {
  await signIn(page, ADMINISTRATOR.mail, password);
  await page.getByRole('heading', { name: 'Choose a password' }).waitFor();
  await page.getByLabel('Current password').fill(password);
  await page.getByLabel('New password', { exact: true }).fill(next);
  await page.getByLabel('New password again').fill(next);
  await page.getByRole('button', { name: 'Set and go on' }).click();
  await page.getByRole('heading', { name: 'Overview' }).waitFor();
}

/**
 * Goes to a page as a link in the page does; loading everything anew for each page would take most of a test's time.
 * @param heading what its heading says; any if not given
 */
export async function follow(page: Page, path: string, heading = ''): Promise<void> {
  await page.evaluate(`history.pushState(null, '', ${JSON.stringify(path)})`);
  await page.locator('#main h1', { hasText: heading }).waitFor();
  await page.getByRole('status', { name: 'Loading' }).first().waitFor({ state: 'hidden' });
}

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/**
 * What axe finds wrong in a page as it is now: one line for each rule, with the first places.
 * @param rules only these; all if not given
 */
export async function accessibilityFaults(page: Page, rules: readonly string[] = []): Promise<string[]> {
  if (!(await page.evaluate("'axe' in globalThis"))) await page.evaluate(AXE);
  const options = rules.length === 0 ? {} : { runOnly: { type: 'rule', values: rules } };
  return page.evaluate(`axe.run(${JSON.stringify(options)}).then(({ violations }) => violations.map(({ id, nodes }) =>
    id + ': ' + nodes.slice(0, 3).map(({ target, failureSummary }) => target.join(' ') + ' ' + failureSummary).join('; ')))`);
}
