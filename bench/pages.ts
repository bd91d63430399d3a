import { existsSync, readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { newSensorId, type SensorId } from '@d4ts/protocol';
import { launchServer, type ServerProcess } from '@d4ts/testkit';
import type { CDPSession, Page } from 'playwright-core';
import { type BrowserUnderTest, CHROMIUM, startBrowser } from '../test/browser/browser-fixture.ts';
import { ask, openStream } from '../test/monitored-server.ts';
import { KEY } from './ingest.ts';
import { end, firstLine, start } from './processes.ts';
import type { Figure } from './report.ts';

const SENSORS = 5_000;
const SENDING = 500;
/** Registrations under way at a time. */
const AT_ONCE = 50;
const CLIENTS = 10;
/** How long the server's processor time is looked at. */
const LOOK_SECONDS = 30;
/** After the last client of the event stream has left, the server goes on following changes for a minute. */
const LINGER_MS = 62_000;
/** How often each page is loaded, by a browser that knows nothing of it. */
const LOADS = 5;
const SETTLE_MS = 2_500;
const LOAD_MS = 4_000;
const LIVE_MS = 10_000;
const WHEEL_STEPS = 100;
const WHEEL_PX = 600;
const WHEEL_MS = 40;
const JUMPS = 40;
const JUMP_MS = 150;
/** The server takes its time to become fast, ms. */
const WARM_MS = 20_000;
/** Clock ticks of Linux's `/proc`. */
const TICKS_PER_SECOND = 100;

/**
 * The pages with 5,000 sensors of which 500 send, in a real Chromium: first paint, and the longest task of the page; and
 * what clients of the event stream cost the server. Nothing where there is no Chromium.
 */
export async function pageFigures(): Promise<Figure[]> {
  if (!existsSync(CHROMIUM)) {
    process.stderr.write(`no Chromium at ${CHROMIUM}: set CHROMIUM to one\n`);
    return [];
  }
  const costs = await clientCosts();
  await using browser = await startBrowser();
  const busy = await keepBusy(browser.server);
  try {
    await setTimeout(WARM_MS);
    const overview = await lookAt(browser, '/', 'Overview', '[aria-label="Sensors by state"]');
    const list = await lookAt(browser, '/sensors', 'Sensors', '[role=row] a');
    return [...costs, ...overview, ...list];
  } finally {
    await busy.stop();
  }
}

/** Lets a server have 5,000 sensors, 500 of which send. */
async function keepBusy(server: ServerProcess): Promise<{ stop(): Promise<void> }> {
  const sensors = await registerMany(server);
  const port = Number(server.info.listen.split(':').at(-1));
  const senders = start('steady.ts', [JSON.stringify({ port, sensors: sensors.slice(0, SENDING), key: KEY })]);
  await firstLine(senders);
  return { stop: () => end(senders) };
}

/** Registers the sensors as people do: with names, tags and owners. */
async function registerMany(server: ServerProcess): Promise<SensorId[]> {
  const sensors = Array.from({ length: SENSORS }, () => newSensorId());
  for (let at = 0; at < SENSORS; at += AT_ONCE) {
    const some = sensors.slice(at, at + AT_ONCE).map((uuid, index) => ({
      uuid,
      key: KEY,
      approve: true,
      name: `Sensor ${String(at + index).padStart(4, '0')}`,
      description: `Stands in rack ${(at + index) % 40}`,
      mail: `owner-${(at + index) % 25}@example.org`,
      tags: [`site-${(at + index) % 12}`],
    }));
    await Promise.all(some.map((sensor) => ask(server, '/sensors', sensor)));
  }
  return sensors;
}

/** Processor time of a process so far, in ms. */
function processorTime(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return ((Number(fields[11]) + Number(fields[12])) * 1_000) / TICKS_PER_SECOND;
}

/** What the server needs for each frame that comes, in µs. */
async function costOfFrame(server: ServerProcess): Promise<number> {
  const frames = async (): Promise<number> =>
    (await ask<{ today: { frames: number } }>(server, '/overview')).today.frames;
  const [framesBefore, before] = [await frames(), processorTime(server.pid)];
  await setTimeout(LOOK_SECONDS * 1_000);
  const used = processorTime(server.pid) - before;
  return (used * 1_000) / ((await frames()) - framesBefore);
}

/**
 * The same with clients of the event stream and without, of two servers at the same time, each in its turn: what a frame
 * costs here changes by a quarter within a minute.
 */
async function clientCosts(): Promise<Figure[]> {
  const servers = [await launchServer(), await launchServer()] as const;
  const busy = [await keepBusy(servers[0]), await keepBusy(servers[1])];
  try {
    await setTimeout(WARM_MS);
    const [first, second] = servers;
    const turns = [await costsOfClients(first, second)];
    await setTimeout(LINGER_MS);
    turns.push(await costsOfClients(second, first));
    const mean = (of: 'watched' | 'alone') => turns.reduce((sum, turn) => sum + turn[of], 0) / turns.length;
    const name = `${CLIENTS} clients of the event stream: processor time a frame`;
    return [{ name, value: mean('watched'), unit: 'µs', references: { 'without, at the same time': mean('alone') } }];
  } finally {
    for (const each of busy) await each.stop();
    for (const server of servers) await server.dispose();
  }
}

/** What a frame costs a server with clients, and one without, in µs. */
async function costsOfClients(
  server: ServerProcess,
  other: ServerProcess,
): Promise<{ watched: number; alone: number }> {
  const streams = await Promise.all(Array.from({ length: CLIENTS }, () => openStream(server, '/api/v1/events')));
  for (const stream of streams) stream.resume().on('error', () => undefined);
  await setTimeout(1_000);
  const [watched, alone] = await Promise.all([costOfFrame(server), costOfFrame(other)]);
  for (const stream of streams) stream.destroy();
  return { watched, alone };
}

/** Loads a page some times, reads it, scrolls it: how long it takes to appear, and its longest task in each phase. */
async function lookAt(browser: BrowserUnderTest, path: string, name: string, content: string): Promise<Figure[]> {
  const loading: Task[] = [];
  const paints: number[] = [];
  for (let load = 1; load < LOADS; load += 1) {
    const { page, tasks, paint } = await loaded(browser, path, content);
    loading.push(...tasks);
    paints.push(paint);
    await page.context().close();
  }
  const { page, tracing, tasks, paint } = await loaded(browser, path, content);
  try {
    const scrolling = await tracing.during(() => scroll(page));
    const jumping = await tracing.during(() => jump(page));
    const live = await tracing.during(() => setTimeout(LIVE_MS));
    return [
      { name: `${name}: first paint, the latest of ${LOADS} loads`, value: Math.max(...paints, paint), unit: 'ms' },
      ...longest(`${name}: longest task of ${LOADS} loads`, [...loading, ...tasks]),
      ...longest(`${name}: longest task while scrolling`, scrolling),
      ...longest(`${name}: longest task while jumping to its end`, jumping),
      ...longest(`${name}: longest task during live updates`, live),
    ];
  } finally {
    await page.context().close();
  }
}

/** A page in a browser that knows nothing of it, when it has settled; the tasks of its loading, and its first paint in ms. */
async function loaded(
  browser: BrowserUnderTest,
  path: string,
  content: string,
): Promise<{ page: Page; tracing: Tracing; tasks: Task[]; paint: number }> {
  const page = await browser.openAsAdministrator({ viewport: { width: 1440, height: 900 } });
  const tracing = await Tracing.of(page);
  // As after signing in, the tab has shown something of the server before: where it has not, the browser starts processes
  // while the page loads, of which tasks of 3 ms lasted 125 on two cores.
  await page.goto('/healthz');
  await setTimeout(SETTLE_MS);
  const tasks = await tracing.during(async () => {
    await page.goto(path, { waitUntil: 'commit' });
    // Looking whether it is there would be work of the page.
    await setTimeout(LOAD_MS);
  });
  await page.locator(content).first().waitFor();
  const paint = await page.evaluate<number>(
    "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0",
  );
  return { page, tracing, tasks, paint };
}

async function scroll(page: Page): Promise<void> {
  await page.mouse.move(800, 500);
  for (let step = 0; step < WHEEL_STEPS; step += 1) {
    await page.mouse.wheel(0, step < WHEEL_STEPS * 0.8 ? WHEEL_PX : -WHEEL_PX);
    await setTimeout(WHEEL_MS);
  }
}

/** As by the key End: everything is loaded. */
async function jump(page: Page): Promise<void> {
  for (let step = 0; step < JUMPS; step += 1) {
    await page.evaluate('scrollTo(0, document.documentElement.scrollHeight)');
    await setTimeout(JUMP_MS);
  }
}

/** A task of the page's main thread, in ms. */
interface Task {
  readonly wall: number;
  readonly processor: number;
}

function longest(name: string, tasks: readonly Task[]): Figure[] {
  const most = (of: keyof Task) => Math.max(0, ...tasks.map((task) => task[of]));
  return [
    { name, value: most('wall'), unit: 'ms' },
    { name: `${name}, of processor time`, value: most('processor'), unit: 'ms' },
  ];
}

interface TraceEvent {
  readonly name: string;
  readonly ph: string;
  readonly pid: number;
  readonly tid: number;
  readonly dur?: number;
  readonly tdur?: number;
  readonly args: { readonly name?: string };
}

/** Chromium's own record of what a page's main thread does. */
class Tracing {
  readonly #session: CDPSession;

  constructor(session: CDPSession) {
    this.#session = session;
  }

  static async of(page: Page): Promise<Tracing> {
    return new Tracing(await page.context().newCDPSession(page));
  }

  /** The tasks that a page's main thread runs while something happens. */
  async during(work: () => Promise<void>): Promise<Task[]> {
    const events: TraceEvent[] = [];
    const gather = ({ value }: { value: object[] }): void => void events.push(...(value as TraceEvent[]));
    this.#session.on('Tracing.dataCollected', gather);
    const complete = new Promise((resolve) => this.#session.once('Tracing.tracingComplete', resolve));
    await this.#session.send('Tracing.start', {
      transferMode: 'ReportEvents',
      traceConfig: { includedCategories: ['toplevel', 'disabled-by-default-devtools.timeline', '__metadata'] },
    });
    await work();
    await this.#session.send('Tracing.end');
    await complete;
    this.#session.off('Tracing.dataCollected', gather);
    const mains = events
      .filter(({ name, args }) => name === 'thread_name' && args.name === 'CrRendererMain')
      .map(({ pid, tid }) => `${pid} ${tid}`);
    return events
      .filter(({ name, ph, pid, tid }) => name === 'RunTask' && ph === 'X' && mains.includes(`${pid} ${tid}`))
      .map(({ dur = 0, tdur = 0 }) => ({ wall: dur / 1_000, processor: tdur / 1_000 }));
  }
}
