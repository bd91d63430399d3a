import { D4Error, plainLines } from '@d4ts/protocol';
import { Command, CommanderError } from 'commander';
import manifest from '../package.json' with { type: 'json' };
import { freeBuffersEarly, keepTicksFast } from './engine.ts';

/** Some of the commands: they are loaded only when one of them is meant, so that each starts quickly. */
interface CommandModule {
  readonly names: readonly string[];
  /** @returns what adds them to the program */
  load(): Promise<(program: Command) => void>;
}

const MODULES: readonly CommandModule[] = [
  {
    names: ['server', 'config'],
    load: async () => (await import('./server-command.ts')).registerServerCommands,
  },
  {
    names: ['client'],
    load: async () => (await import('./client-command.ts')).registerClientCommand,
  },
  {
    names: ['export'],
    load: async () => (await import('./export-command.ts')).registerExportCommand,
  },
  {
    names: ['fsck'],
    load: async () => (await import('./fsck-command.ts')).registerFsckCommand,
  },
  {
    names: ['backup', 'restore'],
    load: async () => (await import('./backup-commands.ts')).registerBackupCommands,
  },
  {
    names: [
      'sensor',
      'enroll',
      'type',
      'queue',
      'exporter',
      'maltrail',
      'block',
      'archive',
      'ledger',
      'retention',
      'user',
      'token',
      'audit',
      'certificate',
      'status',
      'healthcheck',
    ],
    load: async () => (await import('./management-commands.ts')).registerManagementCommands,
  },
];

const HELP_NOTES = `
More about a command: d4 help sensor add
Exit codes: 0 done, 1 failed, 2 wrong use or configuration`;

/** Codes of errors that mean wrong use or configuration. */
const WRONG_USE = /^D4_(USAGE|CONFIG|BAD_[A-Z_]+)$/;

/** Runs the d4 command. Sets the exit code: 0, 1 (failed), 2 (wrong use or configuration). */
export async function main(args: readonly string[]): Promise<void> {
  endQuietlyWithoutReader();
  freeBuffersEarly();
  void keepTicksFast();
  try {
    await run(args);
  } catch (error) {
    process.exitCode = exitCodeOf(error);
    if (!(error instanceof CommanderError)) report(error, isDebug(args));
  }
}

async function run(args: readonly string[]): Promise<void> {
  const program = new Command('d4')
    .description('The D4 sensor network: server, sensor client, exporters, management')
    .version(manifest.version, '--version')
    .option('--debug', 'show where an error came from')
    .addHelpText('after', HELP_NOTES);
  for (const { load } of meant(args)) (await load())(program);
  throwInsteadOfExiting(program);
  if (args[0] === 'help') {
    commandNamed(program, args.slice(1)).outputHelp();
    return;
  }
  await program.parseAsync([...args], { from: 'user' });
}

/** The command of these words: commander's own help looks at the first one alone. */
function commandNamed(program: Command, words: readonly string[]): Command {
  let command = program;
  for (const word of words.filter((each) => !each.startsWith('-'))) {
    const found = command.commands.find((each) => each.name() === word);
    if (found === undefined) {
      throw new D4Error('D4_USAGE', `there is no command "${words.join(' ')}": try ${fullName(command)} --help`);
    }
    command = found;
  }
  return command;
}

/** The module of the command that is the first word; none for the version; all of them for help, and for what is not a command. */
function meant(args: readonly string[]): readonly CommandModule[] {
  if (args[0] === '--version') return [];
  const name = args.find((word) => !word.startsWith('-'));
  const found = MODULES.find(({ names }) => name !== undefined && names.includes(name));
  return found === undefined ? MODULES : [found];
}

function throwInsteadOfExiting(command: Command): void {
  command.exitOverride().configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, 'd4: ')) });
  command.showHelpAfterError(`Try: ${fullName(command)} --help`);
  for (const each of command.commands) throwInsteadOfExiting(each);
}

function fullName(command: Command): string {
  return command.parent === null ? command.name() : `${fullName(command.parent)} ${command.name()}`;
}

function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  return error instanceof D4Error && WRONG_USE.test(error.code) ? 2 : 1;
}

function report(error: unknown, debug: boolean): void {
  const known = error instanceof D4Error;
  const message = error instanceof Error ? error.message : String(error);
  process.stderr.write(`d4: ${plainLines(message)}${known ? ` [${error.code}]` : ''}\n`);
  if (debug && error instanceof Error) process.stderr.write(`${plainLines(error.stack ?? '')}\n`);
  else if (!known) process.stderr.write('d4: this was not expected; --debug shows where it came from\n');
}

function isDebug(args: readonly string[]): boolean {
  return args.includes('--debug') || !['', '0', undefined].includes(process.env.D4_DEBUG);
}

/** A reader such as `head` that has seen enough is no error. */
function endQuietlyWithoutReader(): void {
  process.stdout.on('error', (error) => {
    if ('code' in error && error.code === 'EPIPE') process.exit(0);
    throw error;
  });
}
