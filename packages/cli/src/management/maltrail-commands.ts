import type { SensorId } from '@d4ts/protocol';
import type { ExporterView, MaltrailEventPage, MaltrailSummary, ThreatPage, TypeView } from '@d4ts/server';
import { type HostPort, parseHostPort } from '@d4ts/server/host-port';
import { type Command, InvalidArgumentError } from 'commander';
import type { ApiConnection } from './api-connection.ts';
import { countArgument, timeArgument, uuidArgument } from './arguments.ts';
import { exporterTable } from './exporter-text.ts';
import { eventTable, summaryText, threatTable } from './maltrail-text.ts';
import { managementCommand } from './management-command.ts';

/** Meta headers, what they announce, and the meta type. */
const TYPES = ['2', '254', 'maltrail'];
const EXPORTER = 'maltrail';
/** Datagrams a second: a usual receive buffer then holds what comes while the Maltrail server is busy for half a second. */
const RATE = 1_000;
const PAGE_SIZE = 1_000;
const DEFAULT_COUNT = 100;

interface SetupOptions {
  readonly to: HostPort;
  readonly rate: number;
}

interface FilterOptions {
  readonly since?: number;
  readonly until?: number;
  readonly source?: string;
  readonly trail?: string;
  readonly severity?: string;
  readonly sensor?: SensorId;
  readonly text?: string;
  readonly count: number;
}

/** Adds `d4 maltrail …`. */
export function registerMaltrailCommands(program: Command): void {
  const maltrail = program
    .command('maltrail')
    .description('a network of Maltrail sensors: set it up, see what it finds');

  managementCommand<[], SetupOptions>(
    maltrail
      .command('setup')
      .description('accept what Maltrail sensors send, and send their events on to a Maltrail server; may be run again')
      .requiredOption(
        '--to <HOST:PORT>',
        "the Maltrail server's UDP_ADDRESS and UDP_PORT, e.g. 192.0.2.1:8337",
        receiver,
      )
      .option('--rate <N>', 'datagrams a second, at most', countArgument(1, 1_000_000), RATE),
    async ({ api, show }, { to, rate }) => {
      const done = [...(await acceptTypes(api)), await makeExporter(api, to, rate)];
      const exporter = await api.get<ExporterView>(`/exporters/${EXPORTER}`);
      await show({ done, exporter }, () => `${done.join('\n')}\n`);
    },
  );

  managementCommand(
    maltrail.command('status').description('the exporter to the Maltrail server, and what was found in 30 days'),
    async ({ api, show }) => {
      const exporters = (await api.list<ExporterView>('/exporters')).filter(({ topic }) => topic === 'maltrail');
      const summary = await api.get<MaltrailSummary>('/maltrail/summary');
      await show({ exporters, summary }, () => {
        const table =
          exporters.length === 0 ? 'nothing is sent on: see "d4 maltrail setup"\n' : exporterTable(exporters);
        return `${table}\n${summaryText(summary, exporters)}`;
      });
    },
  );

  managementCommand<[], FilterOptions & { readonly sort: string }>(
    filtered(
      maltrail.command('threats').description('what was found: events by source and trail, those seen last first'),
    ).option('--sort <ORDER>', 'by last, first, events or severity', sortOrder, 'last'),
    async ({ api, show }, { sort, ...options }) => {
      const { items, more } = await collect<ThreatPage>(
        api,
        '/maltrail/threats',
        { ...queryOf(options), sort },
        options.count,
      );
      await show(items, () => threatTable(items));
      if (more) sayMore(options.count);
    },
  );

  managementCommand<[], FilterOptions>(
    filtered(
      maltrail.command('events').description('events as they came, the oldest first (default: of the last day)'),
    ),
    async ({ api, show }, options) => {
      const { items, more, last } = await collect<MaltrailEventPage>(
        api,
        '/maltrail/events',
        queryOf(options),
        options.count,
      );
      await show(items, () => eventTable(items));
      if (more) sayMore(options.count);
      if (last?.heldFrom != null && last.heldFrom > last.from) {
        const from = new Date(last.heldFrom).toISOString();
        process.stderr.write(
          `d4: the journal begins at ${from}; what came before, if anything, is in the archive: d4 archive cat --type maltrail\n`,
        );
      }
    },
  );
}

function filtered(command: Command): Command {
  const time = (text: string) => timeArgument(text, Date.now());
  return command
    .option('--since <TIME>', 'of that time or later: 2026-10-01T08:30Z, 24h, 7d', time)
    .option('--until <TIME>', 'from before that time', time)
    .option('--source <ADDRESS>', 'of this source address')
    .option('--trail <TRAIL>', 'of exactly this trail')
    .option('--severity <LIST>', 'high, medium, low, or several with commas', severities)
    .option('--sensor <UUID>', 'seen by this sensor', uuidArgument)
    .option('--text <TEXT>', 'with this text in it, whatever the case')
    .option('-n, --count <N>', 'at most so many', countArgument(1, 10_000_000), DEFAULT_COUNT);
}

function queryOf({ since, until, source, trail, severity, sensor, text }: FilterOptions): Record<string, unknown> {
  return { from: since, to: until, source, trail, severity, sensor, text };
}

/** Asks for page after page. */
async function collect<P extends { readonly items: readonly unknown[]; readonly next: string | null }>(
  api: ApiConnection,
  path: string,
  filter: Record<string, unknown>,
  count: number,
): Promise<{ items: P['items'][number][]; more: boolean; last: P | undefined }> {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(filter)) if (value !== undefined) query.set(name, `${value}`);
  const items: P['items'][number][] = [];
  let last: P | undefined;
  while (items.length < count) {
    query.set('limit', `${Math.min(PAGE_SIZE, count - items.length)}`);
    last = await api.get<P>(`${path}?${query}`);
    items.push(...last.items);
    if (last.next === null) return { items, more: false, last };
    query.set('after', last.next);
  }
  return { items, more: true, last };
}

/** @returns what was done, in words */
async function acceptTypes(api: ApiConnection): Promise<string[]> {
  const accepted = new Set((await api.list<TypeView>('/types')).map(({ name }) => name));
  const done: string[] = [];
  for (const name of TYPES) {
    if (!accepted.has(name)) await api.post('/types', { name });
    done.push(`type ${name} ${accepted.has(name) ? 'was accepted already' : 'is accepted now'}`);
  }
  return done;
}

/** @returns what was done, in words */
async function makeExporter(api: ApiConnection, { host, port }: HostPort, rate: number): Promise<string> {
  const target = { kind: 'udp', host, port, rate };
  const where = `udp ${host.includes(':') ? `[${host}]` : host}:${port}, at most ${rate} a second`;
  const known = (await api.list<ExporterView>('/exporters')).find(({ name }) => name === EXPORTER);
  if (known === undefined) {
    const description = 'events to the Maltrail server';
    await api.post('/exporters', { name: EXPORTER, type: 'maltrail', target, description });
    return `exporter ${EXPORTER} sends events from now on to ${where}`;
  }
  if (known.topic !== 'maltrail') {
    throw new InvalidArgumentError(`There is an exporter "${EXPORTER}" of type ${known.topic}: remove it first.`);
  }
  const isSame = Object.entries(target).every(
    ([name, value]) => new Map<string, unknown>(Object.entries(known.target)).get(name) === value,
  );
  if (isSame) return `exporter ${EXPORTER} was there already: ${where}`;
  await api.patch(`/exporters/${EXPORTER}`, { target });
  return `exporter ${EXPORTER} sends to another place now: ${where}`;
}

function sayMore(count: number): void {
  process.stderr.write(`d4: these are ${count}; there may be more (-n)\n`);
}

function receiver(text: string): HostPort {
  try {
    const parsed = parseHostPort(text);
    if (parsed.port > 0) return parsed;
  } catch {
    // Told below.
  }
  throw new InvalidArgumentError('Expected HOST:PORT, such as 192.0.2.1:8337.');
}

function severities(text: string): string {
  if (/^(low|medium|high)(,(low|medium|high)){0,2}$/.test(text)) return text;
  throw new InvalidArgumentError('Expected high, medium or low, or several with commas.');
}

function sortOrder(text: string): string {
  if (['last', 'first', 'events', 'severity'].includes(text)) return text;
  throw new InvalidArgumentError('Expected last, first, events or severity.');
}
