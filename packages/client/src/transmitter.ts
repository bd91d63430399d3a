import { once } from 'node:events';
import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SensorId } from '@d4ts/protocol';
import { Backoff } from './backoff.ts';
import { addressText } from './destination.ts';
import { dial, type Route } from './dial.ts';
import { reasonOf } from './network-trouble.ts';
import { Sending, type Transmission } from './sending.ts';

/** How a transmission ended: everything was sent and the connection closed, it failed for good, or it was aborted. */
export type Outcome = 'delivered' | 'failed' | 'aborted';

/** A connection that is there already. */
export interface OpenConnection {
  readonly socket: Socket;
  /** How long connecting took. */
  readonly connectMs: number;
}

/** Settings of a network transmission. */
export interface NetworkOptions {
  readonly route: Route;
  /** For messages. */
  readonly sensor: SensorId;
  /** The longest wait between attempts, in ms; 0 fails at the first one. */
  readonly retryMs: number;
}

/**
 * Sends a stream to a server, over as many connections as it takes.
 *
 * What is guaranteed without acknowledgements: each connection begins with the meta header and at a record boundary.
 * Bytes that the network had not taken are sent again, from the start of their record. What it had taken, from a
 * connection that held and then broke, is not sent again: how much of it reached the server cannot be known. A
 * connection that the server closes right after the first frames (a refusal) counts as if nothing had been sent on it.
 *
 * @param first to begin with
 */
export async function transmit(
  transmission: Transmission,
  options: NetworkOptions,
  first?: OpenConnection,
): Promise<Outcome> {
  const { stream, report, environment } = transmission;
  const { signal } = environment;
  const where = addressText(options.route.server);
  const backoff = new Backoff(options.retryMs, environment.random);
  let refused = false;
  const givenUp = (outcome: Outcome): Outcome => {
    // What the network took on a connection that was refused is not delivered.
    if (refused) stream.restart();
    return outcome;
  };
  for (let open = first; ; open = undefined) {
    report.state(`connecting to ${where}`);
    let trouble: string;
    try {
      const { socket, connectMs } = open ?? (await connect(options.route, signal));
      const settleMs = Math.max(environment.settleMs, 2 * connectMs);
      const connection = new Connection(transmission, socket, settleMs, () => {
        backoff.reset();
        report.fine(`connected to ${where}`);
      });
      report.state(`connected to ${where}`);
      const skippedBefore = stream.skippedBytes;
      const ended = await connection.run();
      const skipped = stream.skippedBytes - skippedBefore;
      if (skipped > 0) report.say(`${skipped} bytes of a long record, cut by the broken connection, were left out`);
      if (ended !== 'broken') return ended;
      if (connection.settled) trouble = `the connection to ${where} broke (${connection.reason})`;
      else trouble = refusalText(options, connection.reason);
      refused = !connection.settled;
    } catch (cause) {
      if (signal.aborted) return givenUp('aborted');
      if ((cause as NodeJS.ErrnoException).code === 'ECONNREFUSED') {
        // Nobody listens, so the last connection was not refused, it broke: what the network took is not sent again.
        stream.release();
        transmission.room.wake();
        refused = false;
      }
      trouble = `cannot reach ${where}: ${reasonOf(cause)}`;
    }
    if (options.retryMs === 0) {
      report.say(trouble);
      return givenUp('failed');
    }
    const waitMs = backoff.next();
    report.trouble(trouble, waitMs);
    report.state(`waiting for ${where}`);
    try {
      await sleep(waitMs, undefined, { signal });
    } catch {
      return givenUp('aborted');
    }
  }
}

/** Connects, and measures. */
export async function connect(route: Route, signal: AbortSignal): Promise<OpenConnection> {
  const startedAt = performance.now();
  const socket = await dial(route, signal);
  return { socket, connectMs: performance.now() - startedAt };
}

/** A server that refuses a sensor says nothing to it: what its operator can be asked for. */
function refusalText({ route, sensor }: NetworkOptions, reason: string): string {
  const expectsTls = route.trust === undefined ? ', or TLS is expected' : '';
  return (
    `${addressText(route.server)} closed the connection right after the first frames (${reason}): unknown uuid, ` +
    `not approved, wrong key or type${expectsTls}? There, "d4 sensor show ${sensor}" and "d4 status" say why. ` +
    'What was sent is kept'
  );
}

/** One connection to a server, from its first frame to its end. */
class Connection {
  readonly #transmission: Transmission;
  readonly #socket: Socket;
  readonly #settleMs: number;
  readonly #onSettled: () => void;
  readonly #sending: Sending;
  settled = false;
  /** Why it broke. */
  reason = 'closed by the server';

  constructor(transmission: Transmission, socket: Socket, settleMs: number, onSettled: () => void) {
    this.#transmission = transmission;
    this.#socket = socket;
    this.#settleMs = settleMs;
    this.#onSettled = onSettled;
    this.#sending = new Sending(transmission, socket, () => this.settled);
  }

  async run(): Promise<Outcome | 'broken'> {
    const { environment, stream } = this.#transmission;
    const { signal } = environment;
    const socket = this.#socket;
    const broken = this.#watch();
    let settling: NodeJS.Timeout | undefined;
    const settle = new Promise<void>((resolve) => {
      this.#sending.onFirst = () => {
        settling = setTimeout(() => {
          this.settled = true;
          this.#onSettled();
          stream.release();
          this.#transmission.room.wake();
          resolve();
        }, this.#settleMs);
      };
    });
    try {
      if (!(await this.#sending.all(broken))) return signal.aborted ? 'aborted' : 'broken';
      if (!(await this.#sending.end(broken))) return signal.aborted ? 'aborted' : 'broken';
      await Promise.race([settle, broken]);
      if (socket.destroyed || !this.settled) return signal.aborted ? 'aborted' : 'broken';
      return await this.#close(broken);
    } finally {
      clearTimeout(settling);
      socket.destroy();
    }
  }

  /** Resolves when nothing more can be sent: the server closed, the network failed, or the client gives up. */
  #watch(): Promise<void> {
    const { signal } = this.#transmission.environment;
    const socket = this.#socket;
    // What a server sends means nothing to a client of this version of the protocol.
    socket.resume();
    return new Promise<void>((resolve) => {
      socket.once('error', (error) => {
        this.reason = reasonOf(error);
        resolve();
      });
      socket.once('end', resolve);
      socket.once('close', () => resolve());
      const abort = () => {
        socket.destroy();
        resolve();
      };
      signal.addEventListener('abort', abort, { once: true });
      socket.once('close', () => signal.removeEventListener('abort', abort));
      if (signal.aborted) abort();
      if (socket.destroyed || socket.readableEnded) resolve();
    });
  }

  /** Ends this side and waits for the server's. */
  async #close(broken: Promise<void>): Promise<Outcome> {
    const { environment, report } = this.#transmission;
    const socket = this.#socket;
    let error: string | undefined;
    let ended = false;
    socket.once('end', () => {
      ended = true;
    });
    socket.once('error', (cause) => {
      error = reasonOf(cause);
    });
    socket.end();
    report.state('everything is sent; waiting for the server to close');
    const limit = new AbortController();
    const timedOut = sleep(environment.closeTimeoutMs, true, { signal: limit.signal }).catch(() => false);
    const late = await Promise.race([broken.then(() => false), timedOut]);
    limit.abort();
    if (environment.signal.aborted) return 'aborted';
    if (late) {
      const seconds = environment.closeTimeoutMs / 1000;
      report.say(`warning: everything was sent, but the server did not close the connection within ${seconds} s`);
    } else if (error !== undefined && !ended) {
      report.say(`the server broke the connection at its end (${error}); what it had not read is lost`);
      return 'failed';
    }
    return 'delivered';
  }
}

/** Writes a stream's frames to the standard output: one "connection", and what breaks it ends the client. */
export async function writeOut(transmission: Transmission): Promise<Outcome> {
  const { environment, report } = transmission;
  const { stdout, signal } = environment;
  let problem: string | undefined;
  const over = new AbortController();
  const broken = Promise.race([
    once(stdout, 'error', { signal: over.signal }).then(
      ([error]) => {
        problem = reasonOf(error);
      },
      () => {},
    ),
    aborted(signal, over.signal),
  ]);
  const onError = () => {};
  stdout.on('error', onError);
  const sending = new Sending(transmission, stdout, () => true);
  report.state('writing to the standard output');
  try {
    const done = (await sending.all(broken)) && (await sending.end(broken));
    if (done) return 'delivered';
    if (signal.aborted) return 'aborted';
    report.say(`the standard output cannot be written: ${problem ?? 'closed'}`);
    return 'failed';
  } finally {
    over.abort();
  }
}

async function aborted(signal: AbortSignal, over: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await once(signal, 'abort', { signal: over }).catch(() => {});
}
