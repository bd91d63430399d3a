import {
  BOOLEAN_FORM,
  type ClientOptions,
  DEFAULT_OPTIONS,
  DURATION_FORM,
  parseDuration,
  parseGoBoolean,
  parseSize,
  rewriteGoFlags,
  runClient,
  SIZE_FORM,
} from '@d4ts/client';
import { Command, InvalidArgumentError, Option } from 'commander';
import { registerEnrollCommand } from './client-enroll-command.ts';
import { registerSpoolCommand } from './client-spool-command.ts';

/**
 * Adds `d4 client`. It understands the Go client's single-dash flags by itself. Its action ends the process when the
 * client has ended; SIGTERM and SIGINT stop the client. `d4 client enroll` registers a new sensor and makes its
 * configuration directory; `d4 client spool` looks at what waits to be sent.
 */
export function registerClientCommand(program: Command): void {
  const command = new ClientCommand('client')
    .description('read a source and send it to a D4 server, as the configuration directory says')
    .option('-c, --config <directory>', 'the configuration directory (required)')
    .addOption(boolean('tls', 'TLS to the server; false is plain TCP (-ce)', DEFAULT_OPTIONS.tls))
    .addOption(boolean('check-certificate', 'check the certificate of the server; false takes any (-cc)'))
    .option('--pin <sha256>', 'take the server (or the authority) whose certificate has this SHA-256')
    .addOption(duration('keep-alive', 'TCP keep-alive; 0 turns it off (-cka)', DEFAULT_OPTIONS.keepAliveMs))
    .addOption(duration('connect-timeout', 'limit for connecting; 0 is none (-ct)', DEFAULT_OPTIONS.connectTimeoutMs))
    .addOption(duration('retry', 'longest wait between attempts; 0 exits on failure (-rt)', DEFAULT_OPTIONS.retryMs))
    .addOption(duration('poll-interval', 'wait at the end of a source that goes on (-rl)', DEFAULT_OPTIONS.pollMs))
    .option('--keep-open', 'do not end with the input: wait for more, as the Go client does')
    .addOption(boolean('tor', 'through the SOCKS5 proxy at 127.0.0.1:9050 (-tor)', DEFAULT_OPTIONS.tor))
    .addOption(boolean('daily', "watch the folder's subfolder of the day, YYYYMMDD (-daily)", DEFAULT_OPTIONS.daily))
    .addOption(boolean('json', 'files of the folder are JSON, sent as they are (-json)', DEFAULT_OPTIONS.json))
    .addOption(boolean('verbose', 'bytes, frames, rate and state on standard error (-v)', DEFAULT_OPTIONS.verbose))
    .addOption(choice('ack', 'acknowledged streams: where the server takes them, only then, or never', ACK_MODES))
    .addOption(choice('spool', 'put bytes on disk while the server is away or behind, or always', SPOOL_MODES))
    .addOption(size('spool-limit', 'the most that the spool may take', DEFAULT_OPTIONS.spoolLimit))
    .addOption(choice('spool-full', 'let the source wait, or drop the oldest', SPOOL_FULL_MODES))
    .addHelpText('after', '\nThe flags of the Go client (-c -cc -ce -cka -ct -rl -rt -v -tor -daily -json) work too.')
    .action((_options, self: Command) => run(self.opts<CommandOptions>(), self));
  registerEnrollCommand(command);
  registerSpoolCommand(command);
  program.addCommand(command.copyInheritedSettings(program));
}

/** The first of each is what holds where nothing is said. */
const ACK_MODES = ['auto', 'require', 'off'] as const;
const SPOOL_MODES = ['auto', 'always'] as const;
const SPOOL_FULL_MODES = ['wait', 'drop-oldest'] as const;

/** What commander makes of the options. */
interface CommandOptions {
  readonly config?: string;
  readonly tls: boolean;
  readonly checkCertificate?: boolean;
  readonly pin?: string;
  readonly keepAlive: number;
  readonly connectTimeout: number;
  readonly retry: number;
  readonly pollInterval: number;
  readonly keepOpen?: boolean;
  readonly tor: boolean;
  readonly daily: boolean;
  readonly json: boolean;
  readonly verbose: boolean;
  readonly ack: (typeof ACK_MODES)[number];
  readonly spool: (typeof SPOOL_MODES)[number];
  readonly spoolLimit: number;
  readonly spoolFull: (typeof SPOOL_FULL_MODES)[number];
}

class ClientCommand extends Command {
  override parseOptions(argv: string[]): ReturnType<Command['parseOptions']> {
    return super.parseOptions(rewriteGoFlags(argv));
  }
}

async function run(said: CommandOptions, self: Command): Promise<void> {
  if (said.config === undefined) {
    // Not commander's requiredOption, which would ask for it in front of a subcommand.
    self.error("error: required option '-c, --config <directory>' not specified");
  }
  const options: ClientOptions = {
    config: said.config,
    tls: said.tls,
    keepAliveMs: said.keepAlive,
    connectTimeoutMs: said.connectTimeout,
    retryMs: said.retry,
    pollMs: said.pollInterval,
    keepOpen: said.keepOpen === true,
    tor: said.tor,
    daily: said.daily,
    json: said.json,
    verbose: said.verbose,
    ack: said.ack,
    spool: said.spool,
    spoolLimit: said.spoolLimit,
    spoolFull: said.spoolFull,
    ...(said.checkCertificate === undefined ? {} : { checkCertificate: said.checkCertificate }),
    ...(said.pin === undefined ? {} : { pin: said.pin }),
  };
  const stop = new AbortController();
  process.on('SIGTERM', () => stop.abort());
  process.on('SIGINT', () => stop.abort());
  // Frames that nobody takes are a failure, not the quiet end that other commands make of a closed standard output.
  process.stdout.removeAllListeners('error');
  // An input that stays open, or an output that is stuck, must not keep the process.
  process.exit(await runClient(options, { signal: stop.signal }));
}

function boolean(name: string, description: string, preset?: boolean): Option {
  const option = new Option(`--${name} [boolean]`, description).argParser((text) => {
    const value = parseGoBoolean(text);
    if (value === undefined) throw new InvalidArgumentError(`Allowed is ${BOOLEAN_FORM}.`);
    return value;
  });
  return preset === undefined ? option : option.default(preset);
}

function duration(name: string, description: string, presetMs: number): Option {
  const preset = presetMs % 1000 === 0 ? `${presetMs / 1000}s` : `${presetMs}ms`;
  return new Option(`--${name} <duration>`, description).default(presetMs, preset).argParser((text) => {
    const value = parseDuration(text);
    if (value === undefined) throw new InvalidArgumentError(`Allowed is ${DURATION_FORM}.`);
    return value;
  });
}

function choice(name: string, description: string, allowed: readonly [string, ...string[]]): Option {
  return new Option(`--${name} <choice>`, description).choices(allowed).default(allowed[0]);
}

/** A spool must be able to hold some records. */
const LEAST_SPOOL_BYTES = 1_000_000;

function size(name: string, description: string, preset: number): Option {
  return new Option(`--${name} <size>`, description).default(preset, '1GiB').argParser((text) => {
    const value = parseSize(text);
    if (value === undefined) throw new InvalidArgumentError(`Allowed is ${SIZE_FORM}.`);
    if (value < LEAST_SPOOL_BYTES) throw new InvalidArgumentError('At least 1MB are needed.');
    return value;
  });
}
