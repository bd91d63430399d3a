import { createHash, X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { agreedOn, refusesAlpn } from '@d4ts/client/acknowledged';
import {
  ACK_ALPN,
  D4Error,
  FORWARDED_BY,
  FrameEncoder,
  PROTOCOL_VERSION,
  parseSensorId,
  type SensorId,
  WIRE_TYPE,
} from '@d4ts/protocol';
import { AcknowledgedTarget } from './acknowledged-target.ts';
import { BackOff } from './back-off.ts';
import { type CertificateCheck, connectStream, networkProblem, type StreamAddress } from './connect.ts';
import { DeliveryOrder } from './delivery-order.ts';
import { lines } from './framing.ts';
import { forwardedBy, MAX_HOPS, UNKNOWN_ORIGIN } from './hops.ts';
import type { ExportTarget, Outstanding, RecordBatch, TargetCounts, TargetEvents } from './port.ts';
import { StreamTarget, type StreamTargetOptions } from './stream-target.ts';

/** Payload of a frame, in bytes; a longer record goes over several. */
const SNAPLEN = 64 * 1024;
/** A server takes four sessions of one sensor and type at a time. */
const MAX_WAYS = 4;
const REFUSAL =
  ' right after the first frames. Is the sensor unknown there, not approved, its key another one, or the type (2 and 254 as well) not accepted? There, "d4 sensor show" and "d4 status" say why';

/** What a target of another D4 server is told. */
export interface D4TargetOptions extends CertificateCheck {
  readonly host: string;
  readonly port: number;
  /** The sensor as which we are registered there, and its key. */
  readonly sensor: string;
  readonly key: string;
  /** The records' type. */
  readonly type: string;
  /** This server (`serverHop`), which is put into the list of those that have forwarded a record; undefined for a program that is none. */
  readonly self: string | undefined;
}

/**
 * Forwards records to another D4 server as one of its sensors, each stream under a meta header that lists the servers
 * it has passed. A record that has passed the other server, or of which that is not known, is not sent: so forwarding
 * in a ring ends (docs/exporters.md, "To another D4 server").
 */
export class D4Target implements ExportTarget {
  readonly where: string;
  readonly #options: D4TargetOptions;
  /** Of connections that are closed, and of attempts to learn who is there. */
  readonly #past: TargetCounts = { errors: 0, skipped: 0, repeated: 0 };
  readonly #address: StreamAddress & { readonly kind: 'tls' };
  readonly #events: TargetEvents;
  readonly #max: Outstanding;
  readonly #order = new DeliveryOrder();
  readonly #backOff = new BackOff();
  /** Connections, by the list of servers in their meta header; the one used last is the last. */
  readonly #ways = new Map<string, Way>();
  /** The other server, as soon as it was reached, and whether it takes acknowledged streams. */
  #peer: string | undefined;
  #acknowledges = true;
  #problem: string | undefined;
  /** Records that had passed the other server before. */
  #looped = 0;

  /** @throws {D4Error} D4_BAD_UUID */
  constructor(options: D4TargetOptions, events: TargetEvents, maxOutstanding: Outstanding) {
    parseSensorId(options.sensor);
    const { host, port, verify, ca } = options;
    this.#options = options;
    this.#events = events;
    this.#max = maxOutstanding;
    this.#address = {
      kind: 'tls',
      host,
      port,
      ...(verify !== undefined && { verify }),
      ...(ca !== undefined && { ca }),
    };
    this.where = `d4 ${host.includes(':') ? `[${host}]` : host}:${port}`;
  }

  get counts(): TargetCounts {
    const all = [this.#past, ...[...this.#ways.values()].map(({ target }) => target.counts)];
    return {
      errors: all.reduce((sum, { errors }) => sum + errors, 0),
      skipped: 0,
      repeated: all.reduce((sum, { repeated }) => sum + repeated, 0),
    };
  }

  get problem(): string | undefined {
    for (const { target } of this.#ways.values()) if (target.problem !== undefined) return target.problem;
    return this.#problem;
  }

  async send({ records, streams }: RecordBatch, signal: AbortSignal): Promise<void> {
    if (!(await this.#learnPeer(signal))) return;
    for (let from = 0; from < records.length && !signal.aborted; ) {
      // Records of one stream stand together.
      const stream = streams?.[from];
      let to = from + 1;
      while (to < records.length && streams?.[to] === stream) to++;
      await this.#sendRun(records.slice(from, to), this.#hopsOf(stream?.metaHeader, streams === undefined), signal);
      from = to;
    }
  }

  remark(): string {
    const remarks = [
      ...(this.#looped > 0 ? [`${this.#looped} not sent, because they had been there`] : []),
      ...(this.#acknowledges ? [] : ['the other server acknowledges nothing']),
    ];
    return remarks.join(', ');
  }

  async close(): Promise<void> {
    await Promise.all([...this.#ways].map(([key, way]) => this.#closeWay(key, way)));
  }

  /** The servers that a record has passed, this one included; undefined where it must not go further. */
  #hopsOf(metaHeader: string | undefined, unknown: boolean): readonly string[] | undefined {
    if (unknown) return [UNKNOWN_ORIGIN];
    const before = forwardedBy(metaHeader);
    if (before.includes(UNKNOWN_ORIGIN) || before.length >= MAX_HOPS) return undefined;
    const hops = [...before, this.#options.self ?? UNKNOWN_ORIGIN];
    return this.#peer !== undefined && hops.includes(this.#peer) ? undefined : hops;
  }

  async #sendRun(records: readonly Buffer[], hops: readonly string[] | undefined, signal: AbortSignal): Promise<void> {
    const tickets = records.map(() => this.#order.add());
    if (hops === undefined) {
      this.#looped += records.length;
      this.#done(tickets);
      return;
    }
    const way = await this.#way(hops, signal);
    if (way === undefined) return;
    for (const ticket of tickets) way.tickets.push(ticket);
    await way.target.send({ records }, signal);
  }

  #done(tickets: readonly number[]): void {
    let delivered = 0;
    for (const ticket of tickets) delivered += this.#order.done(ticket);
    if (delivered > 0) this.#events.delivered(delivered);
  }

  /** @returns undefined where the signal ended the wait for one */
  async #way(hops: readonly string[], signal: AbortSignal): Promise<Way | undefined> {
    const key = hops.join(' ');
    const known = this.#ways.get(key);
    if (known !== undefined) {
      this.#ways.delete(key);
      this.#ways.set(key, known);
      return known;
    }
    if (this.#ways.size >= MAX_WAYS) await this.#closeOne(signal);
    if (signal.aborted) return undefined;
    const way = this.#open(hops);
    this.#ways.set(key, way);
    return way;
  }

  /** Closes the way that was used least recently, once all of it is delivered. */
  async #closeOne(signal: AbortSignal): Promise<void> {
    const [first] = this.#ways;
    if (first === undefined) return;
    const [key, way] = first;
    while (!way.target.idle && !signal.aborted) await new Promise((resolve) => setTimeout(resolve, 100));
    if (!signal.aborted) await this.#closeWay(key, way);
  }

  async #closeWay(key: string, way: Way): Promise<void> {
    await way.target.close();
    this.#ways.delete(key);
    this.#past.errors += way.target.counts.errors;
    this.#past.repeated += way.target.counts.repeated;
  }

  #open(hops: readonly string[]): Way {
    const { sensor, key, type } = this.#options;
    const tickets: number[] = [];
    const events: TargetEvents = {
      delivered: (count) => this.#done(tickets.splice(0, count)),
      warn: this.#events.warn,
    };
    const metaHeader = Buffer.from(JSON.stringify({ type, [FORWARDED_BY]: hops }));
    const way = { address: this.#address, sensor: parseSensorId(sensor), key: Buffer.from(key), metaHeader };
    const onConnected = (socket: Socket) => {
      this.#peer = serverOf(socket);
    };
    const target = this.#acknowledges
      ? new AcknowledgedTarget({ ...way, where: this.where, onConnected }, events, this.#max)
      : new StreamTarget({ ...framesOf(way), onConnected }, events, this.#max);
    return { target, tickets };
  }

  /** Connects once, to know which server it is. @returns false where the signal ended that before */
  async #learnPeer(signal: AbortSignal): Promise<boolean> {
    while (this.#peer === undefined && !signal.aborted) {
      try {
        const socket = await this.#offer(signal);
        this.#peer = serverOf(socket);
        this.#acknowledges = agreedOn(socket, ACK_ALPN);
        socket.destroy();
        if (this.#problem !== undefined) this.#events.warn(`connected to ${this.where}`);
        this.#problem = undefined;
      } catch (error) {
        if (signal.aborted) return false;
        this.#past.errors++;
        const problem = `cannot reach ${this.where}: ${networkProblem(error)}`;
        if (problem !== this.#problem) this.#events.warn(`${problem}: records are held, trying again`);
        this.#problem = problem;
        await this.#backOff.wait(signal);
      }
    }
    return !signal.aborted;
  }

  /** Connects with the offer of acknowledged streams, or where the server will not have that, without. */
  async #offer(signal: AbortSignal): Promise<Socket> {
    try {
      return await connectStream({ ...this.#address, alpn: ACK_ALPN }, signal);
    } catch (error) {
      if (!refusesAlpn(error)) throw error;
      return await connectStream(this.#address, signal);
    }
  }
}

/** One connection, and the tickets of what was given to it. */
interface Way {
  readonly target: AcknowledgedTarget | StreamTarget;
  readonly tickets: number[];
}

/** A stream to a server that acknowledges nothing: v1 frames. */
function framesOf(way: {
  readonly address: StreamAddress;
  readonly sensor: SensorId;
  readonly key: Buffer;
  readonly metaHeader: Buffer;
}): StreamTargetOptions {
  const encoder = new FrameEncoder({ sensor: way.sensor, key: way.key, version: PROTOCOL_VERSION });
  const framed = (wireType: number, bytes: Buffer): Buffer => {
    const seconds = Math.floor(Date.now() / 1000);
    const frames: Buffer[] = [];
    for (let at = 0; at === 0 || at < bytes.length; at += SNAPLEN) {
      frames.push(encoder.encode(wireType, bytes.subarray(at, at + SNAPLEN), seconds));
    }
    return Buffer.concat(frames);
  };
  return {
    kind: 'd4',
    address: way.address,
    framing: (records) => framed(WIRE_TYPE.declared, lines(records)),
    opening: () => framed(WIRE_TYPE.metaHeader, way.metaHeader),
    closing: () => framed(WIRE_TYPE.declared, Buffer.alloc(0)),
    refusal: REFUSAL,
  };
}

/**
 * The name that a server has in lists of hops: SHA-256 of its certificate's public key.
 * @param certificate PEM or DER
 */
export function serverHop(certificate: string | Buffer): string {
  const { publicKey } = new X509Certificate(certificate);
  const key = publicKey.export({ type: 'spki', format: 'der' });
  return createHash('sha256').update(key).digest('hex').slice(0, 32);
}

function serverOf(socket: Socket): string {
  const raw = socket instanceof TLSSocket ? socket.getPeerX509Certificate()?.raw : undefined;
  if (raw === undefined) throw new D4Error('D4_EXPORT_TARGET', 'the server has shown no certificate');
  return serverHop(raw);
}
