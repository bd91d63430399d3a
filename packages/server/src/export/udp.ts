import { createSocket, type Socket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import type { Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { D4Error } from '@d4ts/protocol';
import { type ExportTarget, runExport } from './export-run.ts';
import { Pacer } from './pacer.ts';
import type { QueueAddress } from './queue-source.ts';

/** Datagrams a second unless said otherwise: well under the 50,000 that a receiver on the same machine took without loss. */
const DEFAULT_UDP_RATE = 20_000;
/** The most that one datagram carries over IPv4, in bytes. */
const MAX_DATAGRAM_BYTES = 65_507;
/** Maltrail cuts longer datagrams (docs/drop-in.md). */
const MALTRAIL_BYTES = 8_192;
/** While the receiver refuses, one datagram is tried this often; it has arrived where no refusal came in this time. */
const PROBE_MS = 250;
const WARN_AGAIN_MS = 10_000;
const NEWLINE = Buffer.from('\n');

/** What `d4 export udp` is told. */
export interface UdpExportOptions extends QueueAddress {
  /** The receiver: a host name, or an IPv4 or IPv6 address. */
  readonly host: string;
  readonly port: number;
  /** Datagrams a second; default 20,000. */
  readonly rate?: number;
  readonly verbose: boolean;
}

/**
 * Sends each record of a queue as one UDP datagram, `\n` appended, in order and paced, until the signal says stop.
 *
 * Records over 65,506 bytes are counted and skipped. UDP does not say whether a datagram arrived; only while the
 * receiver's machine answers that nobody listens are records held until somebody does.
 * @param stderr gets warnings, and with `verbose` the counts
 * @returns the exit code: 0 after the signal, 1 where it failed
 */
export function runUdpExport(options: UdpExportOptions, signal: AbortSignal, stderr: Writable): Promise<number> {
  return runExport(
    { ...options, name: 'udp' },
    (warn) => UdpTarget.open(options, options.rate ?? DEFAULT_UDP_RATE, warn),
    signal,
    stderr,
  );
}

class UdpTarget implements ExportTarget {
  readonly #socket: Socket;
  readonly #where: string;
  readonly #pacer: Pacer;
  readonly #warn: (text: string) => void;
  #sent = 0;
  #errors = 0;
  #oversized = 0;
  #overMaltrail = 0;
  /** Whether the receiver was refusing when it was last heard of. */
  #refusing = false;
  /** Whether a refusal has come since the last datagram was tried. */
  #refused = false;
  #oversizedWarnedAt = Number.NEGATIVE_INFINITY;

  private constructor(socket: Socket, where: string, rate: number, warn: (text: string) => void) {
    this.#socket = socket;
    this.#where = where;
    this.#pacer = new Pacer(rate, performance.now());
    this.#warn = warn;
    // The answer to an earlier datagram comes here, or as the error of the next send.
    socket.on('error', (error) => this.#noteRefusal(error));
  }

  /** @throws {D4Error} D4_EXPORT_TARGET where the name is not known or the address not reachable at all */
  static async open(
    to: { host: string; port: number },
    rate: number,
    warn: (text: string) => void,
  ): Promise<UdpTarget> {
    const where = to.host.includes(':') ? `[${to.host}]:${to.port}` : `${to.host}:${to.port}`;
    let socket: Socket | undefined;
    try {
      const { address, family } = await lookup(to.host);
      socket = createSocket(family === 6 ? 'udp6' : 'udp4');
      await connected(socket, to.port, address);
      return new UdpTarget(socket, where, rate, warn);
    } catch (error) {
      socket?.close();
      const why = error instanceof Error ? error.message : String(error);
      throw new D4Error('D4_EXPORT_TARGET', `cannot send to ${where}: ${why}`, error);
    }
  }

  async send(item: Buffer, signal: AbortSignal): Promise<boolean> {
    for (;;) {
      const wait = this.#pacer.take(performance.now());
      if (wait === 0) break;
      await sleep(wait, undefined, { signal }).catch(() => {});
      if (signal.aborted) return false;
    }
    const bytes = item.length + NEWLINE.length;
    if (bytes > MAX_DATAGRAM_BYTES) {
      this.#skip(bytes);
      return true;
    }
    for (;;) {
      this.#refused = false;
      const error = await this.#sendOnce(item);
      if (error?.code === 'EMSGSIZE') {
        this.#skip(bytes);
        return true;
      }
      if (error !== null) this.#noteRefusal(error);
      else if (!this.#refusing) break;
      await sleep(PROBE_MS, undefined, { signal }).catch(() => {});
      if (signal.aborted) return false;
      if (!this.#refused) {
        this.#noteAcceptance();
        break;
      }
    }
    this.#sent++;
    if (bytes > MALTRAIL_BYTES) this.#overMaltrail++;
    return true;
  }

  counts(): string {
    const long = this.#overMaltrail > 0 ? `, ${this.#overMaltrail} over 8,192 bytes (Maltrail cuts them)` : '';
    return `${this.#sent} sent, ${this.#errors} errors, ${this.#oversized} oversized${long}`;
  }

  close(): Promise<void> {
    return new Promise((resolve) => this.#socket.close(resolve));
  }

  #sendOnce(item: Buffer): Promise<NodeJS.ErrnoException | null> {
    return new Promise((resolve) => this.#socket.send([item, NEWLINE], resolve));
  }

  #noteRefusal(error: NodeJS.ErrnoException): void {
    this.#errors++;
    this.#refused = true;
    if (!this.#refusing)
      this.#warn(`${this.#where} refuses datagrams (${error.code}): records are held until it takes them`);
    this.#refusing = true;
  }

  #noteAcceptance(): void {
    this.#warn(`${this.#where} takes datagrams again`);
    this.#refusing = false;
  }

  #skip(bytes: number): void {
    this.#oversized++;
    const now = performance.now();
    if (now - this.#oversizedWarnedAt < WARN_AGAIN_MS) return;
    this.#oversizedWarnedAt = now;
    const most = MAX_DATAGRAM_BYTES.toLocaleString('en');
    this.#warn(
      `a record of ${bytes} bytes is skipped: a datagram carries at most ${most} (${this.#oversized} skipped so far)`,
    );
  }
}

/** Connected, the socket hears of it when nobody listens at the receiver's port. */
function connected(socket: Socket, port: number, address: string): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.connect(port, address, (error?: Error) => (error ? reject(error) : resolve()));
  });
}
