import { type Command, type CommandHandler, ReplyError } from './command.ts';

/** What one transaction may hold. */
const MAX_COMMANDS = 10_000;
const MAX_BYTES = 16 * 1024 * 1024;

/** The commands of a client between MULTI and EXEC. */
export interface Transaction {
  readonly requests: Buffer[][];
  bytes: number;
  /** One of them could not be accepted. */
  failed: boolean;
}

/**
 * Transactions, as client libraries send pipelines: the commands are answered together and in order. Nothing is undone,
 * and those of other clients may come in between where one has to wait for the disk.
 */
export const TRANSACTION_COMMANDS: readonly Command[] = [
  { name: 'multi', arity: 1, keys: [0, 0, 0], flags: ['noscript', 'fast'], immediate: true, handle: multi },
  { name: 'exec', arity: 1, keys: [0, 0, 0], flags: ['noscript'], immediate: true, handle: exec },
  { name: 'discard', arity: 1, keys: [0, 0, 0], flags: ['noscript', 'fast'], immediate: true, handle: discard },
];

/** Keeps a request for EXEC. */
export function enqueue(transaction: Transaction, args: readonly Buffer[]): void {
  transaction.bytes += args.reduce((sum, arg) => sum + arg.length, 0);
  if (transaction.requests.length >= MAX_COMMANDS || transaction.bytes > MAX_BYTES) {
    throw new ReplyError(`ERR a transaction may hold ${MAX_COMMANDS} commands and ${MAX_BYTES} bytes`);
  }
  // Arguments are views of network chunks that would otherwise be kept until EXEC.
  transaction.requests.push(args.map((arg) => Buffer.from(arg)));
}

function multi(...[, client, , out]: Parameters<CommandHandler>): undefined {
  if (client.transaction !== undefined) throw new ReplyError('ERR MULTI calls can not be nested');
  client.transaction = { requests: [], bytes: 0, failed: false };
  out.simple('OK');
}

function exec(...[, client, , out]: Parameters<CommandHandler>): undefined {
  const { transaction } = client;
  if (transaction === undefined) throw new ReplyError('ERR EXEC without MULTI');
  client.transaction = undefined;
  if (transaction.failed) throw new ReplyError('EXECABORT Transaction discarded because of previous errors.');
  out.array(transaction.requests.length);
  client.answerNext(transaction.requests);
}

function discard(...[, client, , out]: Parameters<CommandHandler>): undefined {
  if (client.transaction === undefined) throw new ReplyError('ERR DISCARD without MULTI');
  client.transaction = undefined;
  out.simple('OK');
}
