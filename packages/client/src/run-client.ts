import { D4Error } from '@d4ts/protocol';
import { deliverOverTls } from './acknowledged/deliver.ts';
import { type ClientConfig, readClientConfig } from './config.ts';
import { type ClientEnvironment, processEnvironment } from './environment.ts';
import { Framing } from './framing.ts';
import type { ClientOptions } from './options.ts';
import { OutgoingStream } from './outgoing-stream.ts';
import { boundariesOf } from './record-boundaries.ts';
import { Report } from './report.ts';
import type { Transmission } from './sending.ts';
import { openSource } from './sources/open-source.ts';
import type { Source } from './sources/source.ts';
import { type NetworkOptions, type OpenConnection, type Outcome, transmit, writeOut } from './transmitter.ts';
import { decideTrust } from './trust.ts';
import { Wakeup } from './wakeup.ts';

/** How long a source that never ends may still deliver what was read, once the client is asked to stop, in ms. */
const FAREWELL_MS = 2000;

/**
 * Runs a client to its end: reads the configuration directory and the source, and delivers to the destination, over as
 * many connections as it takes.
 *
 * @param changes parts of the process's environment to replace; `signal` is how to stop the client
 * @returns the exit code: 0 delivered; 1 gave up (`signal`, `-rt 0`) or the source or the standard output failed; 2
 * wrong configuration or use, as said on the standard error
 */
export async function runClient(
  options: ClientOptions,
  changes: Partial<ClientEnvironment> & Pick<ClientEnvironment, 'signal'>,
): Promise<number> {
  const environment = { ...processEnvironment(changes.signal), ...changes };
  let config: ClientConfig;
  let network: NetworkOptions | undefined;
  try {
    config = readClientConfig(options.config);
    network = networkOptions(options, config, environment);
  } catch (error) {
    if (!(error instanceof D4Error)) throw error;
    environment.stderr.write(`d4 client: ${error.message}\n`);
    return 2;
  }
  const report = new Report(environment, options.verbose);
  try {
    if (config.sensorIsNew) report.say(`new uuid ${config.sensor}, kept in ${config.directory}/uuid`);
    if (network?.route.trust?.kind === 'unchecked') {
      report.say("warning: -cc=false: the server's certificate is not checked; anyone on the way can read the data");
    }
    if (network?.route.trust === undefined || options.ack === 'off') {
      const source = openSource(config.source, options, environment, (text) => report.sourceTrouble(text));
      return await deliver(config, network, environment, report, source);
    }
    const result = await deliverOverTls({ options, config, network, environment, report });
    if (result.kind === 'exit') return result.code;
    return await deliver(config, network, environment, report, result.source, result.open);
  } finally {
    report.close();
  }
}

function networkOptions(
  options: ClientOptions,
  config: ClientConfig,
  environment: ClientEnvironment,
): NetworkOptions | undefined {
  const { destination } = config;
  const isPlain = destination.kind === 'stdout' || !options.tls;
  if (options.ack === 'require' && isPlain) {
    throw new D4Error('D4_USAGE', '--ack require needs a server and TLS: acknowledged streams are agreed on within it');
  }
  if (destination.kind === 'stdout') return undefined;
  const route = {
    server: destination,
    trust: options.tls ? decideTrust(options, config, destination) : undefined,
    keepAliveMs: options.keepAliveMs,
    timeoutMs: options.connectTimeoutMs,
    ...(options.tor ? { proxy: environment.socksProxy } : {}),
  };
  return { route, sensor: config.sensor, retryMs: options.retryMs };
}

/** As a v1 client does: without acknowledgements. @param first a connection that is there already */
async function deliver(
  config: ClientConfig,
  network: NetworkOptions | undefined,
  outer: ClientEnvironment,
  report: Report,
  source: Source,
  first?: OpenConnection,
): Promise<number> {
  const stopSource = new AbortController();
  const giveUp = new AbortController();
  const environment = { ...outer, signal: giveUp.signal };
  const transmission: Transmission = {
    stream: new OutgoingStream(boundariesOf(config.type), { bytes: outer.bufferBytes, record: outer.keptRecordBytes }),
    framing: new Framing(config),
    snaplen: config.snaplen,
    report,
    environment,
    more: new Wakeup(),
    room: new Wakeup(),
  };
  let farewell: NodeJS.Timeout | undefined;
  const onStop = () => {
    stopSource.abort();
    transmission.room.wake();
    if (source.endless) farewell = setTimeout(() => giveUp.abort(), FAREWELL_MS);
    else giveUp.abort();
  };
  outer.signal.addEventListener('abort', onStop, { once: true });
  if (outer.signal.aborted) onStop();
  try {
    const reading = readAhead(source, transmission, stopSource.signal);
    const outcome = await (network === undefined ? writeOut(transmission) : transmit(transmission, network, first));
    stopSource.abort();
    transmission.room.wake();
    return exitCode(outcome, await reading, source, transmission, outer.signal);
  } finally {
    clearTimeout(farewell);
    outer.signal.removeEventListener('abort', onStop);
  }
}

/** How reading a source ended. */
interface Reading {
  /** Whether the source ended by itself. */
  readonly complete: boolean;
  /** What went wrong. */
  readonly problem?: string;
}

/** Fills the stream from the source, as far as there is room. */
async function readAhead(source: Source, transmission: Transmission, stop: AbortSignal): Promise<Reading> {
  const { stream, more, room } = transmission;
  const most = source.readAheadBytes ?? Number.POSITIVE_INFINITY;
  let problem: string | undefined;
  try {
    for await (const bytes of source.read(stop)) {
      stream.append(bytes);
      more.wake();
      while ((stream.full || stream.unflushed >= most) && !stop.aborted) await room.wait();
    }
  } catch (error) {
    problem = (error as Error).message;
  }
  const complete = problem === undefined && !stop.aborted;
  stream.end();
  more.wake();
  return problem === undefined ? { complete } : { complete, problem };
}

function exitCode(
  outcome: Outcome,
  { complete, problem }: Reading,
  source: Source,
  { stream, report }: Transmission,
  signal: AbortSignal,
): number {
  if (problem !== undefined) report.say(`${source.name} cannot be read: ${problem}`);
  if (outcome === 'delivered') return problem === undefined ? 0 : 1;
  if (stream.unflushed === 0 && source.endless && signal.aborted) return 0;
  const why = outcome === 'aborted' ? 'stopped' : 'gave up';
  report.say(`${why}: ${notDelivered(stream.unflushed, source.endless || complete ? undefined : source.name)}`);
  return 1;
}

/** @param open the source, where it had more */
function notDelivered(bytes: number, open: string | undefined): string {
  const rest = open === undefined ? '' : `what ${open} still had`;
  if (bytes > 0) {
    return `${bytes} bytes that were read have not been delivered${rest === '' ? '' : `, and ${rest}`}`;
  }
  return rest === ''
    ? 'everything was sent, but whether all of it arrived is not known'
    : `everything that was read was sent; ${rest} was not`;
}
