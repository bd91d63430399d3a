import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { D4Error } from '@d4ts/protocol';
import type { ExporterSecrets, ExporterTarget } from '@d4ts/server';
import { type CommandTarget, eventsOnly, runQueueExport } from '@d4ts/server/export';
import { Command } from 'commander';
import { rewriteExportFlags } from './export-flags.ts';
import {
  certificate,
  KINDS,
  parsePort,
  parseQueue,
  parseType,
  secretsOf,
  type TargetFlags,
} from './exporter-options.ts';

interface QueueFlags {
  readonly type: string;
  readonly queue: string;
  readonly redisHost: string;
  readonly redisPort: number;
  readonly verbose?: boolean;
}

interface D4Flags extends QueueFlags {
  readonly config: string;
  readonly verify?: boolean;
  readonly ca?: string;
}

/**
 * Adds `d4 export …`, with the flags of the reference's exporters. The actions end after SIGTERM or SIGINT, and leave the
 * exit code in `process.exitCode`.
 */
export function registerExportCommand(program: Command): void {
  const command = program
    .command('export')
    .description(
      'send the records of a queue to another program; the queue may also be in a genuine Redis. A password, or the secret of a queue credential, is taken from D4_REDIS_PASSWORD',
    );
  for (const { kind, description, addOptions, target } of KINDS) {
    const exporter = addOptions(queueOptions(new ExporterCommand(kind).description(description), kind));
    exporter.action((flags: QueueFlags & TargetFlags) =>
      run(flags, target(flags), secretsOf(flags, process.env.D4_EXPORT_HEADERS)),
    );
    command.addCommand(exporter);
  }
  const forward = new ExporterCommand('d4').description('forward to another D4 server, as one of its sensors');
  certificate(queueOptions(forward, 'd4'))
    .requiredOption(
      '--config <directory>',
      "a sensor's configuration directory (-c): destination, uuid, key, rootCA.crt; the type is the queue's",
    )
    .action(async (flags: D4Flags) => {
      const { target, key } = await d4Target(flags);
      return run(flags, target, { key });
    });
  command.addCommand(forward);
}

class ExporterCommand extends Command {
  override parseOptions(argv: string[]): ReturnType<Command['parseOptions']> {
    return super.parseOptions(rewriteExportFlags(this.name(), argv));
  }
}

function queueOptions(command: Command, kind: string): Command {
  const [host, port] = kind === 'stdout' ? ['-i', '-p'] : ['-ri', '-rp'];
  return command
    .requiredOption('-t, --type <type>', "the queue's type: a number, or a meta type's name", parseType)
    .requiredOption('-u, --queue <uuid>', "the queue's uuid", parseQueue)
    .option('--redis-host <host>', `where the queue is served (${host})`, '127.0.0.1')
    .option('--redis-port <port>', `where the queue is served (${port})`, parsePort, 6380)
    .option(kind === 'tls' ? '--verbose' : '-v, --verbose', 'counts, rate and lag on standard error');
}

async function run(flags: QueueFlags, target: CommandTarget, secrets: ExporterSecrets): Promise<void> {
  const { type, queue, redisHost, redisPort, verbose = false } = flags;
  const stop = new AbortController();
  const onSignal = () => stop.abort();
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  // A reader that has gone is a failure here: what it has not read goes back to the queue.
  if (target.kind === 'stdout') process.stdout.removeAllListeners('error');
  try {
    const redisPassword = process.env.D4_REDIS_PASSWORD || undefined;
    const filter = eventsOnly({ topic: type, target });
    const options = {
      type,
      queue,
      redisHost,
      redisPort,
      redisPassword,
      verbose,
      target,
      secrets,
      ...(filter && { filter }),
    };
    process.exitCode = await runQueueExport(options, stop.signal, process);
    // What a stuck reader has not taken must not keep the process.
    if (target.kind === 'stdout' && process.stdout.writableLength > 0) process.exit();
  } finally {
    process.removeListener('SIGTERM', onSignal);
    process.removeListener('SIGINT', onSignal);
  }
}

/** What a sensor's configuration directory says about where to forward to. */
async function d4Target({ config: directory, verify, ca }: D4Flags): Promise<{ target: ExporterTarget; key: string }> {
  const { readClientConfig } = await import('@d4ts/client');
  const { destination, sensor, key } = readClientConfig(directory);
  if (destination.kind !== 'server') {
    throw new D4Error('D4_USAGE', `${join(directory, 'destination')}: expected HOST:PORT of a D4 server`);
  }
  const text = key.toString('utf8');
  if (!Buffer.from(text).equals(key)) {
    throw new D4Error('D4_USAGE', `${join(directory, 'key')}: an exporter needs a key that is UTF-8 text`);
  }
  const own = join(directory, 'rootCA.crt');
  const authority = ca ?? (existsSync(own) ? own : undefined);
  const { host, port } = destination;
  const check = { ...(verify !== undefined && { verify }), ...(authority !== undefined && { ca: authority }) };
  return { target: { kind: 'd4', host, port, sensor, ...check }, key: text };
}
