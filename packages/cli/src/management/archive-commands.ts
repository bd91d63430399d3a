import { D4Error, type SensorId } from '@d4ts/protocol';
import type { ArchivedFilePage, ArchivedFileView } from '@d4ts/server';
import type { Command } from 'commander';
import type { ApiConnection } from './api-connection.ts';
import { printFiles } from './archive-cat.ts';
import { archivedFileTable, archivedFileText } from './archive-text.ts';
import { countArgument, timeArgument, uuidArgument } from './arguments.ts';
import { managementCommand } from './management-command.ts';
import { terminalText } from './terminal-text.ts';

interface FilterOptions {
  readonly sensor?: SensorId;
  readonly type?: string;
  readonly from?: number;
  readonly to?: number;
}

interface ListOptions extends FilterOptions {
  readonly count: number;
}

interface CatOptions extends FilterOptions {
  readonly raw?: boolean;
}

/** One request gets at most so many. */
const PAGE_SIZE = 1_000;
const DEFAULT_COUNT = 100;
const FILE_ID = /^[^/]+:[0-9]+$/;

/** Adds `d4 archive …`. */
export function registerArchiveCommands(program: Command): void {
  const archive = program.command('archive').description('find and read the files of what sensors have sent');

  managementCommand<[], ListOptions>(
    filtered(archive.command('list').description('finished files, those finished last first')).option(
      '-n, --count <N>',
      'at most so many',
      countArgument(1, Number.MAX_SAFE_INTEGER),
      DEFAULT_COUNT,
    ),
    async ({ api, show }, { count, ...options }) => {
      const { files, more } = await find(api, filterOf(options), count);
      await show(files, () => archivedFileTable(files));
      if (more) process.stderr.write(`d4: these are the last ${count}; there may be more (-n)\n`);
    },
  );

  managementCommand<[string]>(
    archive
      .command('show')
      .description('a finished file')
      .argument('<ID|PATH>', "its ID, or its path: absolute or below the archive's root"),
    async ({ api, show }, _options, name) => {
      const file = await fileNamed(api, name);
      await show(file, () => archivedFileText(file));
    },
  );

  managementCommand<[string[]], CatOptions>(
    filtered(
      archive
        .command('cat')
        .description('print what is in finished files, decompressed; of several captures one capture is made')
        .argument('[ID|PATH...]', 'these files, in this order; or else those of a --type, in the order of their times'),
    ).option('--raw', 'the bytes as they are on disk: compressed, each capture with its own header'),
    async ({ api, json }, { raw = false, ...options }, names) => {
      const filter = filterOf(options);
      if (json) throw new D4Error('D4_USAGE', 'cat prints what is in the files; --json goes with list and show');
      const files = names.length > 0 ? await filesNamed(api, names, filter) : await filesToPrint(api, filter);
      await printFiles(api, files, raw);
    },
  );
}

function filtered(command: Command): Command {
  const time = (text: string) => timeArgument(text, Date.now());
  return command
    .option('--sensor <UUID>', 'what this sensor has sent', uuidArgument)
    .option('--type <TYPE>', "what is of this type: its number, or the meta type's name")
    .option('--from <TIME>', 'files with bytes of that time or later: 2026-10-01T08:30Z, 24h, 7d', time)
    .option('--to <TIME>', 'files with bytes from before that time', time);
}

/** The options say more than that. */
function filterOf({ sensor, type, from, to }: FilterOptions): FilterOptions {
  return { sensor, type, from, to };
}

/** Files that fit, those finished last first. */
async function find(
  api: ApiConnection,
  filter: FilterOptions & { readonly path?: string },
  count: number,
): Promise<{ files: ArchivedFileView[]; more: boolean }> {
  const files: ArchivedFileView[] = [];
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(filter)) if (value !== undefined) query.set(name, `${value}`);
  while (files.length < count) {
    query.set('limit', `${Math.min(PAGE_SIZE, count - files.length)}`);
    const page = await api.get<ArchivedFilePage>(`/archive/files?${query}`);
    files.push(...page.items);
    if (page.next === null) return { files, more: false };
    query.set('after', page.next);
  }
  return { files, more: true };
}

async function fileNamed(api: ApiConnection, name: string): Promise<ArchivedFileView> {
  if (FILE_ID.test(name)) return api.get<ArchivedFileView>(`/archive/files/${encodeURIComponent(name)}`);
  const { files } = await find(api, { path: name }, 1);
  const [file] = files;
  if (file === undefined) throw new D4Error('D4_NOT_FOUND', `no finished file has the path ${name}`);
  return file;
}

async function filesNamed(
  api: ApiConnection,
  names: readonly string[],
  filter: FilterOptions,
): Promise<ArchivedFileView[]> {
  if (Object.values(filter).some((value) => value !== undefined)) {
    throw new D4Error('D4_USAGE', 'name the files, or say --type and the like, not both');
  }
  const files: ArchivedFileView[] = [];
  for (const name of names) files.push(await fileNamed(api, name));
  return files;
}

/** What sensors have sent, without what is no whole record; in the order in which the first bytes of each file came. */
async function filesToPrint(api: ApiConnection, filter: FilterOptions): Promise<ArchivedFileView[]> {
  if (filter.type === undefined) {
    throw new D4Error('D4_USAGE', 'say which files: IDs or paths, or --type with --sensor, --from and --to as needed');
  }
  const { files } = await find(api, filter, Number.POSITIVE_INFINITY);
  const wanted = files.reverse().filter(({ kind, item }) => kind === 'stream' || item);
  for (const { id, path } of wanted.filter(({ state }) => state === 'removed')) {
    process.stderr.write(`d4: ${id} was removed by somebody and is left out: ${terminalText(path)}\n`);
  }
  return wanted.filter(({ state }) => state !== 'removed').sort((a, b) => a.firstTime - b.firstTime);
}
