import type { Readable, Writable } from 'node:stream';

/** What a client needs of the world around it. Tests put their own parts in. */
export interface ClientEnvironment {
  /** The standard input. `fd` is its descriptor where it has one, for `--keep-open`. */
  readonly stdin: Readable & { readonly fd?: number };
  /** Where frames go for the destination `stdout`. */
  readonly stdout: Writable;
  readonly stderr: { write(text: string): unknown };
  /** Aborted: give up. */
  readonly signal: AbortSignal;
  /** Wall clock, ms since 1970. */
  readonly now: () => number;
  /** From 0 (inclusive) to 1. */
  readonly random: () => number;
  /** The SOCKS5 proxy that `-tor` takes. */
  readonly socksProxy: { readonly host: string; readonly port: number };
  /** How much of the source is read ahead, in bytes. */
  readonly bufferBytes: number;
  /** How much of an unfinished record's start is kept for sending it again, in bytes; less than `bufferBytes`. */
  readonly keptRecordBytes: number;
  /**
   * How long after its first frames a connection must stay open to count as accepted, in ms: a server that refuses a
   * sensor closes at once, and says nothing. On slow ways it is twice as long as connecting took.
   */
  readonly settleMs: number;
  /** How long to wait for the server's close after the end of the stream, in ms. */
  readonly closeTimeoutMs: number;
  /** How long a server may take for its first word on an acknowledged stream, in ms. */
  readonly greetingMs: number;
  /** After so long without a connection what is not acknowledged goes to the spool, in ms. */
  readonly outageMs: number;
  /** When the buffer has been full for so long, the server is behind and the rest goes to the spool, in ms. */
  readonly behindMs: number;
  /** What was written to the spool is made durable after this time at the latest, in ms. */
  readonly spoolSyncMs: number;
  /** How soon a write to the spool that failed is tried again, in ms. */
  readonly spoolRetryMs: number;
  /** How long a client that is asked to stop waits for the acknowledgement of what it has sent, in ms. */
  readonly farewellMs: number;
  /** How long a file in a watched folder must stay as it is to be complete, in ms. */
  readonly fileQuietMs: number;
}

/** The real world: the process's own streams. */
export function processEnvironment(signal: AbortSignal): ClientEnvironment {
  return {
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    signal,
    now: Date.now,
    random: Math.random,
    socksProxy: { host: '127.0.0.1', port: 9050 },
    bufferBytes: 8 * 1_048_576,
    keptRecordBytes: 1_048_576,
    settleMs: 250,
    closeTimeoutMs: 10_000,
    fileQuietMs: 1000,
    greetingMs: 30_000,
    outageMs: 2000,
    behindMs: 1000,
    spoolSyncMs: 1000,
    spoolRetryMs: 5000,
    farewellMs: 5000,
  };
}
