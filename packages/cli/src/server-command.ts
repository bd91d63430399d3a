import {
  allowedValues,
  allSettings,
  type Config,
  describeConfig,
  loadConfig,
  openLog,
  type RunningServer,
  startServer,
} from '@d4ts/server';
import { type Command, Option } from 'commander';
import { table } from './table.ts';

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const;

/** Adds `d4 server` and `d4 config`. */
export function registerServerCommands(program: Command): void {
  const server = program
    .command('server')
    .description('run the server until SIGTERM or SIGINT')
    .action(async (_options, command: Command) => runServer(configOf(command)));
  const config = program
    .command('config')
    .description('print the configuration that holds, and where each value came from')
    .option('--json', 'print JSON')
    .action((options: { json?: boolean }, command: Command) => printConfig(configOf(command), options.json === true));
  for (const command of [server, config]) addSettings(command);
}

/** One flag for each setting outside of a section. The schema checks the values, as it checks those of the file. */
function addSettings(command: Command): void {
  for (const setting of allSettings()) {
    if (setting.flag === undefined) continue;
    const value = setting.hostPort
      ? 'HOST:PORT'
      : { home: 'DIR', mode: 'MODE', 'redis-socket': 'PATH', 'redis-password': 'PASSWORD' }[setting.name];
    const fallback = setting.defaultValue === undefined ? '' : ` (default: ${setting.defaultValue})`;
    const allowed = setting.name === 'mode' ? `: ${allowedValues(setting)}` : '';
    command.addOption(new Option(`${setting.flag} <${value ?? 'KEY'}>`, `${setting.description}${allowed}${fallback}`));
  }
}

function configOf(command: Command): Config {
  const options: Record<string, unknown> = command.opts();
  const flags: Record<string, string | undefined> = {};
  for (const option of command.options) {
    const value = options[option.attributeName()];
    if (typeof value === 'string') flags[option.name()] = value;
  }
  return loadConfig({ flags, environment: process.env, directory: process.cwd() });
}

async function runServer(config: Config): Promise<void> {
  const asked = Promise.withResolvers<string>();
  for (const signal of SIGNALS) process.on(signal, () => asked.resolve(signal));

  // Nobody has to read what the server prints.
  process.stdout.removeAllListeners('error').on('error', () => {});
  const { log, flush } = openLog({ level: config.log.level, form: process.stderr.isTTY ? 'text' : 'json' });
  try {
    const server = await startServer(config, log);
    process.stdout.write(readyText(server, config.home));
    log.info({ signal: await asked.promise }, 'stopping');
    await server.stop();
    log.info('stopped');
  } finally {
    flush();
  }
  // A part that did not stop in time must not keep the process alive.
  process.exit(0);
}

/** What stands on standard output from then on; in one write, so that a reader of the last line has all of it. */
function readyText({ version, file, defaultPassword }: RunningServer, home: string): string {
  const password =
    defaultPassword === undefined ? '' : `the administrator's first password and API key are in ${defaultPassword}\n`;
  return `${password}d4 server ${version} is ready: sensors at ${file.listen} (TLS), web at https://${file.web}/, analyzers at ${file.redis} (Redis protocol), home ${home}\n`;
}

function printConfig(config: Config, json: boolean): void {
  const reports = describeConfig(config);
  if (json) {
    const byName = Object.fromEntries(reports.map(({ name, value = null, ...report }) => [name, { value, ...report }]));
    process.stdout.write(`${JSON.stringify(byName, undefined, 2)}\n`);
    return;
  }
  process.stdout.write(
    table(
      ['SETTING', 'VALUE', 'FROM'],
      reports.map(({ name, value, source }) => [name, `${value ?? '-'}`, source]),
    ),
  );
}
