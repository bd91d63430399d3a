import type { Logger } from 'pino';
import type { Taken } from '../item-runs.ts';
import type { Queue, Queues } from '../port.ts';
import type { Gate, Rights } from './access.ts';
import type { ReplyWriter } from './reply-writer.ts';
import type { Transaction } from './transaction-commands.ts';
import type { Wait, WaitingLines } from './waiting-lines.ts';

/** The state of one client that commands read and change. */
export interface Client {
  readonly id: number;
  /** The client's IP address. */
  readonly address: string;
  readonly port: number;
  /** ms since 1970 */
  readonly since: number;
  protocol: 2 | 3;
  /** Undefined before AUTH where that is needed. */
  rights: Rights | undefined;
  /** Between MULTI and EXEC. */
  transaction: Transaction | undefined;
  /** The command in hand is one of a transaction: it must not wait for items. */
  readonly executing: boolean;
  name: string;
  library: string;
  libraryVersion: string;
  /** The database that was selected; queues are the same in all of them. */
  database: number;
  /** The name of the last command. */
  lastCommand: string;
  /** The blocking command that the client is in. */
  wait: Wait | undefined;
  /** Set by CLIENT UNBLOCK … ERROR: how the wait is answered. */
  unblockedByError: boolean;
  /** Answers these requests, of a transaction, before those that come next. */
  answerNext(requests: Buffer[][]): void;
  /** Says that items stand in the replies: they go back to their queue if the client is gone before they are sent. */
  delivers(queue: Queue, taken: Taken): void;
  /** Closes the connection after the replies so far. */
  quit(): void;
  /** Closes the connection at once; the reason is logged. */
  cutOff(reason: string): void;
}

/** What all clients of a socket share. */
export interface CommandContext {
  readonly queues: Queues;
  readonly lines: WaitingLines;
  readonly gate: Gate;
  readonly clients: ReadonlyMap<number, Client>;
  readonly maxClients: number;
  /** ms since 1970 */
  readonly startedAt: number;
  readonly log: Logger;
}

/** The reply of a command that could not answer at once. */
export interface LateReply {
  /** Writes the reply. */
  write(out: ReplyWriter): void;
  /** The client is gone: gives back what the reply held. */
  abandon(): void;
}

/** Answers one request: writes the reply, or promises it. `args[0]` is the command's name. */
export type CommandHandler = (
  context: CommandContext,
  client: Client,
  args: readonly Buffer[],
  out: ReplyWriter,
) => undefined | Promise<LateReply>;

/** A command, as `COMMAND` describes it. */
export interface Command {
  /** Lower case. */
  readonly name: string;
  /** Words with the name; negative: at least as many. */
  readonly arity: number;
  /** Index of the first and the last key (negative: from the end), and the step between them; zeros for none. */
  readonly keys: readonly [first: number, last: number, step: number];
  readonly flags: readonly string[];
  /** It puts items into a queue, which is a right of its own. */
  readonly pushes?: boolean;
  /** It is answered also within a transaction. */
  readonly immediate?: boolean;
  readonly handle: CommandHandler;
}

/** An error that is answered to the client as it is. */
export class ReplyError extends Error {}

/** The argument at `index`, which the command's arity has promised. */
export function argument(args: readonly Buffer[], index: number): Buffer {
  const value = args[index];
  if (value === undefined) throw new ReplyError('ERR syntax error');
  return value;
}

/** The argument as text of bytes. */
export function word(args: readonly Buffer[], index: number): string {
  return argument(args, index).toString('latin1');
}

const INTEGER = /^-?\d{1,15}$/;

/** The argument as an integer. */
export function integer(args: readonly Buffer[], index: number): number {
  const text = word(args, index);
  if (!INTEGER.test(text)) throw new ReplyError('ERR value is not an integer or out of range');
  return Number(text);
}

/** A client's text on its way into an error or a log line: short, and nothing but visible ASCII. */
export function shown(bytes: Buffer): string {
  const text = bytes.toString('latin1', 0, 128).replace(/[^\x20-\x7e]/g, '?');
  return bytes.length > 128 ? `${text}…` : text;
}
