import type { Socket } from 'node:net';
import { D4Error } from '@d4ts/protocol';
import type { Taken } from '../item-runs.ts';
import type { Queue } from '../port.ts';
import { untake } from '../untake.ts';
import type { Rights } from './access.ts';
import type { Client, CommandContext, LateReply } from './command.ts';
import { execute } from './commands.ts';
import type { ReplyWriter } from './reply-writer.ts';
import { RequestParser } from './request-parser.ts';
import type { Transaction } from './transaction-commands.ts';
import type { Wait } from './waiting-lines.ts';

/** Replies are handed to the socket in pieces of about this many bytes. */
const WRITE_BYTES = 1024 * 1024;
/** While a client leaves more bytes of replies unread than this, its next requests wait. */
const MAX_UNSENT_BYTES = 4 * 1024 * 1024;
/** Requests of a client that has to wait are read ahead up to this many bytes. */
const MAX_READ_AHEAD_BYTES = 256 * 1024;
/** How long a client gets to read the last replies when the server closes, and to close its side afterwards (ms). */
const LAST_REPLIES_MS = 5_000;
const LAST_CLOSE_MS = 500;
const KEEP_ALIVE_MS = 60_000;

interface Delivered {
  readonly queue: Queue;
  readonly taken: Taken;
}

/**
 * One client: its requests are answered one after the other, in order, as many as there are with one write. Items in
 * replies that never left the process go back to their queues when the connection closes.
 */
export class Connection implements Client {
  readonly id: number;
  readonly address: string;
  readonly port: number;
  readonly since = Date.now();
  protocol: 2 | 3 = 2;
  rights: Rights | undefined;
  transaction: Transaction | undefined;
  executing = false;
  name = '';
  library = '';
  libraryVersion = '';
  database = 0;
  lastCommand = '';
  wait: Wait | undefined;
  unblockedByError = false;

  /** Resolved when the socket has closed. */
  readonly closed: Promise<void>;

  readonly #socket: Socket;
  readonly #context: CommandContext;
  readonly #out: ReplyWriter;
  readonly #parser = new RequestParser();
  /** Requests of a transaction, still to be answered. */
  #transacted: Buffer[][] = [];
  /** A request is being answered that could not be answered at once. */
  #busy = false;
  /** The same, until it is answered. */
  #late: Promise<void> | undefined;
  /** No further request is answered; the connection closes after the replies so far. */
  #ending = false;
  #inputEnded = false;
  /** No reply can be, or is to be, sent any more. */
  #gone = false;
  /** What was delivered since the last write to the socket. */
  #batch: Delivered[] = [];
  /** The same for each write that has not been completed. */
  #inFlight: Delivered[][] = [];

  constructor(socket: Socket, id: number, context: CommandContext, out: ReplyWriter) {
    this.id = id;
    this.#socket = socket;
    this.#context = context;
    this.#out = out;
    this.rights = context.gate.initial;
    this.address = plainAddress(socket.remoteAddress);
    this.port = socket.remotePort ?? 0;
    socket.setNoDelay(true);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.closed = promise;
    socket.on('data', (chunk) => this.#read(chunk));
    socket.on('end', () => this.#readEnd());
    socket.on('drain', () => this.#run());
    socket.on('error', (error) => context.log.debug({ address: this.address, err: error }, 'queue client failed'));
    socket.on('close', () => {
      this.#closed();
      resolve();
    });
  }

  delivers(queue: Queue, taken: Taken): void {
    this.#batch.push({ queue, taken });
  }

  answerNext(requests: Buffer[][]): void {
    this.#transacted = requests;
  }

  quit(): void {
    this.#ending = true;
  }

  cutOff(reason: string): void {
    this.#context.log.warn({ address: this.address, port: this.port, reason }, 'queue client cut off');
    this.#ending = true;
    this.#socket.destroy();
  }

  /**
   * Ends the connection after what is being answered; a client that waits for items is left without an answer.
   * Resolved when it has closed and nothing is being taken for it.
   */
  async close(): Promise<void> {
    this.#ending = true;
    this.#destroyAfter(LAST_REPLIES_MS);
    if (this.wait?.cancel()) {
      this.#gone = true;
      this.#end();
    } else if (!this.#busy) {
      this.#run();
    }
    await this.closed;
    await this.#late;
  }

  #read(chunk: Buffer): void {
    if (this.#ending) return;
    this.#parser.push(chunk);
    this.#run();
  }

  /** A client that ends its side gets the replies to what it sent, unless it waits: then it is gone. */
  #readEnd(): void {
    this.#inputEnded = true;
    if (this.wait === undefined) {
      this.#run();
      return;
    }
    this.#gone = true;
    this.wait.cancel();
    this.#socket.destroy();
  }

  #run(): void {
    if (this.#gone || this.#socket.destroyed) return;
    this.#out.protocol = this.protocol;
    this.#answer();
    this.#write();
    const unsent = this.#socket.writableLength > MAX_UNSENT_BYTES;
    if (!this.#busy && (this.#ending || (this.#inputEnded && !unsent))) {
      this.#ending = true;
      this.#end();
    }
    const held = (this.#busy || unsent) && !this.#ending && this.#parser.unreadBytes > MAX_READ_AHEAD_BYTES;
    if (held) this.#socket.pause();
    else if (this.#socket.isPaused()) this.#socket.resume();
  }

  #answer(): void {
    while (!this.#busy && !this.#ending && this.#socket.writableLength <= MAX_UNSENT_BYTES) {
      const request = this.#next();
      if (request === undefined) return;
      const late = execute(this.#context, this, request, this.#out);
      if (late !== undefined) {
        this.#busy = true;
        this.#late = late.then((reply) => this.#answerLate(reply));
      }
      if (this.#out.length >= WRITE_BYTES) this.#write();
    }
  }

  #next(): Buffer[] | undefined {
    const transacted = this.#transacted.shift();
    this.executing = transacted !== undefined;
    if (transacted !== undefined) return transacted;
    try {
      return this.#parser.next();
    } catch (error) {
      if (!(error instanceof D4Error)) throw error;
      this.#context.log.warn({ address: this.address, port: this.port, reason: error.message }, 'queue client cut off');
      this.#out.error(`ERR ${error.message}`);
      this.#ending = true;
      return undefined;
    }
  }

  #answerLate(reply: LateReply): void {
    this.#busy = false;
    if (this.#gone || !this.#socket.writable) {
      reply.abandon();
      return;
    }
    this.#out.protocol = this.protocol;
    reply.write(this.#out);
    this.#run();
  }

  #write(): void {
    const out = this.#out;
    if (out.length === 0) return;
    this.#inFlight.push(this.#batch);
    if (this.#batch.length > 0) this.#batch = [];
    const pieces = out.take();
    this.#socket.cork();
    for (const [i, piece] of pieces.entries())
      this.#socket.write(piece, i === pieces.length - 1 ? this.#written : undefined);
    this.#socket.uncork();
    out.release(this.#socket.writableLength > 0);
  }

  readonly #written = (error?: Error | null): void => {
    if (error) return;
    for (const { queue, taken } of this.#inFlight.shift() ?? []) queue.letGo(taken);
  };

  /** A client that does not close its side in turn is closed. */
  #end(): void {
    if (this.#socket.writableEnded) return;
    this.#socket.end(() => this.#destroyAfter(LAST_CLOSE_MS));
  }

  #destroyAfter(ms: number): void {
    const timer = setTimeout(() => this.#socket.destroy(), ms);
    this.#socket.once('close', () => clearTimeout(timer));
  }

  #closed(): void {
    this.#gone = true;
    this.wait?.cancel();
    const unsent = [...this.#inFlight.flat(), ...this.#batch];
    this.#inFlight = [];
    this.#batch = [];
    for (const { queue, taken } of unsent.toReversed()) untake(queue, taken, this.#context.log);
  }
}

function plainAddress(address: string | undefined): string {
  if (address === undefined) return 'local';
  return address.startsWith('::ffff:') ? address.slice(7) : address;
}
