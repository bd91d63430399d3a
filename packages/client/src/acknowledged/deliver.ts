import { randomBytes } from 'node:crypto';
import { D4Error } from '@d4ts/protocol';
import type { ClientConfig } from '../config.ts';
import { addressText } from '../destination.ts';
import type { ClientEnvironment } from '../environment.ts';
import type { ClientOptions } from '../options.ts';
import type { Report } from '../report.ts';
import { sizeText } from '../size.ts';
import { openSource } from '../sources/open-source.ts';
import type { Source } from '../sources/source.ts';
import { Backlog, type BacklogOptions } from '../spool/backlog.ts';
import { Spool } from '../spool/spool.ts';
import type { SpooledStream } from '../spool/spooled-stream.ts';
import type { StreamIdentity } from '../spool/stream-identity.ts';
import type { NetworkOptions, OpenConnection } from '../transmitter.ts';
import { AckTransmitter, type Delivery, type DeliveryHooks } from './ack-transmitter.ts';
import { deliverFiles } from './file-delivery.ts';
import { type FirstConnection, firstConnection } from './first-connection.ts';
import { deliverPipe } from './pipe-delivery.ts';

/** What a delivery over TLS is made of. */
export interface DeliverySetup {
  readonly options: ClientOptions;
  readonly config: ClientConfig;
  readonly network: NetworkOptions;
  /** Its signal asks the client to stop. */
  readonly environment: ClientEnvironment;
  readonly report: Report;
}

/** What came of it. */
export type DeliveryResult =
  | { readonly kind: 'exit'; readonly code: number }
  /** The server takes no acknowledged streams: the source goes to it as a v1 client sends it, over this connection. */
  | { readonly kind: 'plain'; readonly source: Source; readonly open: OpenConnection };

/**
 * Delivers with acknowledgements where the server takes them (journal rules 37–43): first what earlier clients left in
 * the spool, then the source.
 */
export async function deliverOverTls(setup: DeliverySetup): Promise<DeliveryResult> {
  const { options, report } = setup;
  let spool: Spool | undefined;
  let isHeld = true;
  const letGo = () => {
    if (isHeld) spool?.release();
    isHeld = false;
  };
  try {
    spool = holdSpool(setup);
    const left = (await spool?.leftStreams((text) => report.say(text))) ?? [];
    const result = await new DeliveryRun(setup, spool, left, letGo).run();
    // A source that is handed over may still be in the spool, and lets go of it by itself.
    if (result.kind === 'exit') letGo();
    return result;
  } catch (error) {
    letGo();
    if (!(error instanceof D4Error)) throw error;
    if (error.code !== 'D4_SPOOL_HELD' || options.ack === 'require' || options.spool === 'always') {
      report.say(error.message);
      return { kind: 'exit', code: 2 };
    }
    return await withoutSpool(setup, error);
  }
}

/** @throws {D4Error} D4_SPOOL_HELD, D4_SPOOL_UNUSABLE where it must be there */
function holdSpool({ options, report }: DeliverySetup): Spool | undefined {
  try {
    return Spool.hold(options.config, options.spoolLimit);
  } catch (error) {
    if (!(error instanceof D4Error) || error.code === 'D4_SPOOL_HELD' || options.spool === 'always') throw error;
    report.say(`warning: ${error.message}; what is not acknowledged is kept in memory alone`);
    return undefined;
  }
}

/** Another client has the spool: nothing is read before it is clear that the server takes no acknowledged streams. */
async function withoutSpool(setup: DeliverySetup, held: D4Error): Promise<DeliveryResult> {
  const { environment, network, options, config, report } = setup;
  const first = await firstConnection(network, environment, report);
  if (first.kind === 'plain') {
    report.say(plainText(setup));
    const source = openSource(config.source, options, environment, (text) => report.sourceTrouble(text));
    return { kind: 'plain', source, open: first.open };
  }
  if (first.kind !== 'acknowledged') return { kind: 'exit', code: 1 };
  first.open.socket.destroy();
  report.say(held.message);
  return { kind: 'exit', code: 2 };
}

/** What is said of a server without acknowledgements, once. */
function plainText({ network }: DeliverySetup): string {
  return (
    `${addressText(network.route.server)} takes no acknowledged streams: what a connection that breaks had not ` +
    'delivered is lost (--ack require refuses such a server)'
  );
}

/** One run of a client that holds its spool, or has none. */
export class DeliveryRun {
  readonly setup: DeliverySetup;
  readonly spool: Spool | undefined;
  readonly transmitter: AckTransmitter;
  readonly #left: readonly SpooledStream[];
  readonly #giveUp = new AbortController();
  readonly #hooks: { -readonly [K in keyof DeliveryHooks]: DeliveryHooks[K] };
  readonly #letGo: () => void;
  #warnedOf = 0;

  /** @param letGo releases the spool */
  constructor(setup: DeliverySetup, spool: Spool | undefined, left: readonly SpooledStream[], letGo: () => void) {
    this.#letGo = letGo;
    this.setup = setup;
    this.spool = spool;
    this.#left = left;
    this.#hooks = {
      onConnected: () => {},
      onOutage: () => {},
      onRecordLimit: (bytes) => this.#checkLimit(bytes),
    };
    this.transmitter = new AckTransmitter({
      network: setup.network,
      key: setup.config.key,
      environment: this.environment,
      report: setup.report,
      hooks: this.#hooks,
    });
  }

  /** The environment whose signal ends everything at once. */
  get environment(): ClientEnvironment {
    return { ...this.setup.environment, signal: this.#giveUp.signal };
  }

  /** Ends everything at once. */
  giveUp(): void {
    this.#giveUp.abort();
  }

  /** The server takes no acknowledged streams: another client may have the spool. */
  letGoOfSpool(): void {
    this.#letGo();
  }

  /** The id of the newest stream that an earlier client left: a new one names it (rule 42). */
  get newestLeft(): string | undefined {
    const newest = this.#left.findLast(({ identity }) => identity.sensor === this.setup.config.sensor);
    return newest?.rebirth?.id ?? newest?.identity.id;
  }

  async run(): Promise<DeliveryResult> {
    const { kind } = this.setup.config.source;
    return kind === 'file' || kind === 'folder' ? await deliverFiles(this) : await deliverPipe(this);
  }

  /** A new stream of this client. */
  newIdentity(source: string, previous: string | undefined): StreamIdentity {
    const { sensor, type, metaHeader } = this.setup.config;
    return {
      id: randomBytes(16).toString('hex'),
      sensor,
      type,
      source,
      startedAt: this.setup.environment.now(),
      ...(metaHeader === undefined ? {} : { metaHeader }),
      ...(previous === undefined ? {} : { previous }),
    };
  }

  backlogOptions(memoryBytes: number, sourceKeeps: boolean): BacklogOptions {
    const { options, environment, report } = this.setup;
    return {
      memoryBytes,
      sourceKeeps,
      behindMs: environment.behindMs,
      syncMs: environment.spoolSyncMs,
      retryMs: environment.spoolRetryMs,
      whenFull: options.spoolFull,
      always: options.spool === 'always',
      onTrouble: (text) => report.spoolTrouble(text),
      onLoss: (text) => report.say(text),
    };
  }

  /** What the backlog of the running stream has to know. @param isLive whether it is the one that is delivered now */
  follow(backlog: Backlog, isLive: () => boolean): void {
    this.#hooks.onConnected = () => {
      backlog.connected();
      if (!isLive()) return;
      void backlog.remember();
      void this.forgetNames();
    };
    this.#hooks.onOutage = () => backlog.outage();
  }

  /** Streams of which there is only the name: a stream that the server has accepted has named them. */
  async forgetNames(): Promise<void> {
    for (const stream of this.#left) if (stream.isNameOnly) await this.spool?.remove(stream).catch(() => {});
  }

  /** Connects for the first time. @returns undefined where a server without acknowledgements is refused */
  async connect(): Promise<FirstConnection | undefined> {
    const { network, options, report } = this.setup;
    const outage = setTimeout(() => this.#hooks.onOutage(), this.environment.outageMs);
    try {
      const first = await firstConnection(network, this.environment, report);
      if (first.kind !== 'plain') return first;
      if (options.ack === 'require') {
        first.open.socket.destroy();
        report.say(`${addressText(network.route.server)} takes no acknowledged streams, and --ack require was said`);
        return undefined;
      }
      report.say(plainText(this.setup));
      const waiting = this.spool?.space.used ?? 0;
      if (this.#left.length > 0 && waiting > 0) {
        report.say(`${sizeText(waiting)} in ${this.spool?.path} can be delivered only with acknowledgements, and stay`);
      }
      return first;
    } finally {
      clearTimeout(outage);
    }
  }

  /**
   * Delivers what earlier clients left, oldest first.
   * @param first a connection that is there already; it is used up
   * @returns what stopped it, if anything did
   */
  async drain(first: OpenConnection): Promise<{ stopped: Delivery | undefined; open: OpenConnection | undefined }> {
    const { config, report } = this.setup;
    let open: OpenConnection | undefined = first;
    for (const stream of this.#left) {
      if (stream.identity.sensor !== config.sensor) {
        report.say(
          `${stream.folder} is of the sensor ${stream.identity.sensor} and stays: this one is ${config.sensor}`,
        );
        continue;
      }
      if (stream.isNameOnly) continue;
      const backlog = Backlog.left(
        stream,
        this.backlogOptions(this.setup.environment.bufferBytes, false),
        this.spool as Spool,
      );
      const bytes = backlog.unacknowledged;
      if (bytes > 0) report.say(`delivering ${bytes} bytes that an earlier client has left in ${this.spool?.path}`);
      const outcome = await this.transmitter.deliver(backlog, true, open?.socket);
      open = undefined;
      if (outcome !== 'ended') {
        await backlog.close();
        return { stopped: outcome, open };
      }
      await backlog.remove();
    }
    return { stopped: undefined, open };
  }

  #checkLimit(maxRecordBytes: number): void {
    const { options, environment, report } = this.setup;
    const needed = maxRecordBytes + 2 * 262_144;
    const room = environment.bufferBytes + (this.spool === undefined ? 0 : options.spoolLimit);
    if (room >= needed || this.#warnedOf === needed) return;
    this.#warnedOf = needed;
    report.say(`warning: a record may have ${maxRecordBytes} bytes, but only ${room} can be kept: raise --spool-limit`);
  }
}
