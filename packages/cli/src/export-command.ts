import { isMetaTypeName, sensorIdFrom } from '@d4ts/protocol';
import { runUdpExport } from '@d4ts/server';
import { Command, InvalidArgumentError } from 'commander';
import { rewriteExportFlags } from './export-flags.ts';

interface UdpFlags {
  readonly type: string;
  readonly queue: string;
  readonly ip: string;
  readonly port: number;
  readonly redisHost: string;
  readonly redisPort: number;
  readonly rate: number;
  readonly verbose?: boolean;
}

/**
 * Adds `d4 export udp`, with the flags of the reference's exporter. Its action ends after SIGTERM or SIGINT, and leaves
 * the exit code in `process.exitCode`.
 */
export function registerExportCommand(program: Command): void {
  const command = program
    .command('export')
    .description(
      'send the records of a queue to another program; the queue may also be in a genuine Redis. A password, or the secret of a queue credential, is taken from D4_REDIS_PASSWORD',
    );
  const udp = new ExporterCommand('udp')
    .description('one datagram for each record, with a newline; for Maltrail: -t maltrail -i HOST -p 8337')
    .requiredOption('-t, --type <type>', "the queue's type: a number, or a meta type's name", parseType)
    .requiredOption('-u, --queue <uuid>', "the queue's uuid", parseQueue)
    .option('-i, --ip <address>', "the receiver's IP address or host name", '127.0.0.1')
    .requiredOption('-p, --port <port>', "the receiver's port", parsePort)
    .option('-n, --newline', 'accepted and without effect: a newline is always sent')
    .option('--redis-host <host>', 'where the queue is served (-ri)', '127.0.0.1')
    .option('--redis-port <port>', 'where the queue is served (-rp)', parsePort, 6380)
    .option('--rate <number>', 'datagrams a second, at most', parseRate, 20_000)
    .option('-v, --verbose', 'counts and rate on standard error')
    .action((flags: UdpFlags) => run(flags));
  command.addCommand(udp);
}

class ExporterCommand extends Command {
  override parseOptions(argv: string[]): ReturnType<Command['parseOptions']> {
    return super.parseOptions(rewriteExportFlags(argv));
  }
}

async function run({
  ip: host,
  verbose = false,
  type,
  queue,
  port,
  redisHost,
  redisPort,
  rate,
}: UdpFlags): Promise<void> {
  const stop = new AbortController();
  const onSignal = () => stop.abort();
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  try {
    const redisPassword = process.env.D4_REDIS_PASSWORD || undefined;
    const options = { type, queue, host, port, redisHost, redisPort, redisPassword, rate, verbose };
    process.exitCode = await runUdpExport(options, stop.signal, process.stderr);
  } finally {
    process.removeListener('SIGTERM', onSignal);
    process.removeListener('SIGINT', onSignal);
  }
}

function parseType(text: string): string {
  if (isMetaTypeName(text) || (/^\d{1,3}$/.test(text) && Number(text) <= 255)) return text;
  throw new InvalidArgumentError('Expected a number from 0 to 255, or the name of a meta type.');
}

function parseQueue(text: string): string {
  const uuid = sensorIdFrom(text);
  if (uuid === undefined)
    throw new InvalidArgumentError('Expected a UUID, with or without dashes: see "d4 queue list".');
  return uuid;
}

function parsePort(text: string): number {
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port >= 1 && port <= 65_535) return port;
  throw new InvalidArgumentError('Expected a port from 1 to 65535.');
}

function parseRate(text: string): number {
  const rate = Number(text);
  if (/^\d+(?:\.\d+)?$/.test(text) && rate > 0) return rate;
  throw new InvalidArgumentError('Expected a number of datagrams a second, more than 0.');
}
