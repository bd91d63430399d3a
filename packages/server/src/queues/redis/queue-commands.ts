import type { Logger } from 'pino';
import { ItemRuns, type Taken } from '../item-runs.ts';
import type { Queue } from '../port.ts';
import { untake } from '../untake.ts';
import {
  argument,
  type Client,
  type Command,
  type CommandContext,
  type CommandHandler,
  integer,
  type LateReply,
  ReplyError,
  shown,
  word,
} from './command.ts';
import { globTest } from './glob.ts';
import { filledQueues, findQueue, formatQueueKey, parseQueueKey } from './queue-key.ts';
import type { ReplyWriter } from './reply-writer.ts';
import { take, takeRuns } from './take.ts';
import type { Delivery, WaitedKey } from './waiting-lines.ts';

const SECONDS = /^-?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;

/**
 * The commands on lists, which here are queues. Both ends pop the oldest item (docs/journal.md, rule 25); a queue
 * without items is no key, as an empty list is none in Redis.
 */
export const QUEUE_COMMANDS: readonly Command[] = [
  { name: 'lpop', arity: -2, keys: [1, 1, 1], flags: ['write', 'fast'], handle: pop },
  { name: 'rpop', arity: -2, keys: [1, 1, 1], flags: ['write', 'fast'], handle: pop },
  { name: 'blpop', arity: -3, keys: [1, -2, 1], flags: ['write', 'blocking'], handle: blockingPop },
  { name: 'brpop', arity: -3, keys: [1, -2, 1], flags: ['write', 'blocking'], handle: blockingPop },
  { name: 'rpush', arity: -3, keys: [1, 1, 1], flags: ['write', 'fast'], pushes: true, handle: giveBack },
  { name: 'lpush', arity: -3, keys: [1, 1, 1], flags: ['write', 'fast'], pushes: true, handle: push },
  { name: 'llen', arity: 2, keys: [1, 1, 1], flags: ['readonly', 'fast'], handle: length },
  { name: 'lrange', arity: 4, keys: [1, 1, 1], flags: ['readonly'], handle: range },
  { name: 'lindex', arity: 3, keys: [1, 1, 1], flags: ['readonly'], handle: index },
  { name: 'del', arity: -2, keys: [1, -1, 1], flags: ['write'], handle: flush },
  { name: 'unlink', arity: -2, keys: [1, -1, 1], flags: ['write'], handle: flush },
  { name: 'exists', arity: -2, keys: [1, -1, 1], flags: ['readonly', 'fast'], handle: exists },
  { name: 'type', arity: 2, keys: [1, 1, 1], flags: ['readonly', 'fast'], handle: type },
  { name: 'keys', arity: 2, keys: [0, 0, 0], flags: ['readonly'], handle: keys },
  { name: 'scan', arity: -2, keys: [0, 0, 0], flags: ['readonly'], handle: scan },
  // Ours: `RPOP key count` with less to write and to read for each item.
  { name: 'd4.lines', arity: 3, keys: [1, 1, 1], flags: ['write', 'fast'], handle: popLines },
  // Ours: whether there is such a queue, which no command of Redis tells from an empty one.
  { name: 'd4.queue', arity: 2, keys: [1, 1, 1], flags: ['readonly', 'fast'], handle: isQueue },
  { name: 'dbsize', arity: 1, keys: [0, 0, 0], flags: ['readonly', 'fast'], handle: size },
];

function queueAt(context: CommandContext, args: readonly Buffer[], at: number): Queue | undefined {
  return findQueue(context.queues, parseQueueKey(argument(args, at)));
}

/** The queue that a consumer pops from; one that does not exist is noted (rule 24). */
function poppedQueue(context: CommandContext, client: Client, key: Buffer): Queue | undefined {
  const queue = findQueue(context.queues, parseQueueKey(key));
  if (queue === undefined) context.queues.unknown(shown(key), client.address);
  return queue;
}

function pop(...[context, client, args, out]: Parameters<CommandHandler>): ReturnType<CommandHandler> {
  if (args.length > 3) throw new ReplyError('ERR syntax error');
  const single = args.length === 2;
  const count = single ? 1 : integer(args, 2);
  if (count < 0) throw new ReplyError('ERR value is out of range, must be positive');
  const queue = poppedQueue(context, client, argument(args, 1));
  const answer = (items: readonly Buffer[], to: typeof out): void => {
    const first = items[0];
    if (first === undefined || queue === undefined) {
      if (single) to.null();
      else if (count === 0 && queue !== undefined && queue.length > 0) to.array(0);
      else to.nullArray();
      return;
    }
    if (single) to.bulk(first);
    else to.bulks(items);
    client.delivers(queue, items);
  };
  return hand(context, queue, queue === undefined ? [] : take(queue, count), answer, out);
}

/** Answers with what was taken as soon as it is there; it is given back where nobody waits for the answer any more. */
function hand<T extends Taken>(
  { log }: CommandContext,
  queue: Queue | undefined,
  taken: T | Promise<T>,
  answer: (taken: T, to: ReplyWriter) => void,
  out: ReplyWriter,
): ReturnType<CommandHandler> {
  if (!(taken instanceof Promise)) {
    answer(taken, out);
    return undefined;
  }
  return taken.then((late) => ({
    write: (to) => answer(late, to),
    abandon: () => {
      if (queue !== undefined) untake(queue, late, log);
    },
  }));
}

/**
 * Answers with runs of items, for each the number of its items and its bytes: several that have no newline in them, or
 * one of any bytes, with a newline behind each. They may be fewer than asked for though there are more.
 */
function popLines(...[context, client, args, out]: Parameters<CommandHandler>): ReturnType<CommandHandler> {
  const count = integer(args, 2);
  if (count < 1) throw new ReplyError('ERR value is out of range, must be positive');
  const queue = poppedQueue(context, client, argument(args, 1));
  const answer = (taken: ItemRuns, to: typeof out): void => {
    to.array(2 * taken.runs.length);
    for (const run of taken.runs) {
      to.integer(run.count);
      to.bulk(run.bytes);
    }
    if (queue !== undefined) client.delivers(queue, taken);
  };
  return hand(context, queue, queue === undefined ? new ItemRuns([]) : takeRuns(queue, count), answer, out);
}

function blockingPop(...[context, client, args, out]: Parameters<CommandHandler>): ReturnType<CommandHandler> {
  const timeout = seconds(args, args.length - 1);
  const keys = args.slice(1, -1).map((text) => ({ text, key: parseQueueKey(text) }));
  for (const { text, key } of keys) {
    if (findQueue(context.queues, key) === undefined) context.queues.unknown(shown(text), client.address);
  }
  if (client.executing) return popNow(context, client, keys, out);
  // The keys are views of network chunks that would otherwise be kept for as long as the client waits.
  const kept = keys.map(({ text, key }) => ({ text: Buffer.from(text), key }));
  client.unblockedByError = false;
  const wait = context.lines.wait(kept, timeout);
  client.wait = wait;
  return wait.outcome
    .finally(() => {
      client.wait = undefined;
    })
    .then((delivery) => deliveryReply(context.log, client, delivery));
}

/** A blocking pop in a transaction does not wait. */
function popNow(
  { queues, log }: CommandContext,
  client: Client,
  keys: readonly WaitedKey[],
  out: ReplyWriter,
): ReturnType<CommandHandler> {
  for (const { text, key } of keys) {
    const queue = findQueue(queues, key);
    if (queue === undefined || queue.length === 0) continue;
    return Promise.resolve(take(queue, 1)).then((items) =>
      deliveryReply(log, client, items.length === 0 ? undefined : { queue, key: text, items }),
    );
  }
  out.nullArray();
  return undefined;
}

function deliveryReply(log: Logger, client: Client, delivery: Delivery | undefined): LateReply {
  if (delivery === undefined) {
    const write: LateReply['write'] = (out) =>
      client.unblockedByError ? out.error('UNBLOCKED client unblocked via CLIENT UNBLOCK') : out.nullArray();
    return { write, abandon: () => {} };
  }
  const { queue, key, items } = delivery;
  return {
    write: (out) => {
      out.bulks([key, ...items]);
      client.delivers(queue, items);
    },
    abandon: () => untake(queue, items, log),
  };
}

/** A timeout in seconds, perhaps with a fraction, as ms; never rounded down to 0, which is for ever. */
function seconds(args: readonly Buffer[], at: number): number {
  const text = word(args, at);
  const value = Number(text);
  if (!SECONDS.test(text) || !Number.isFinite(value)) {
    throw new ReplyError('ERR timeout is not a float or out of range');
  }
  if (value < 0) throw new ReplyError('ERR timeout is negative');
  return Math.ceil(value * 1000);
}

/** `RPUSH`: what was popped goes back in front (rule 24). */
function giveBack(...[context, , args, out]: Parameters<CommandHandler>): undefined {
  putIn(context, args, out, (queue, items) => queue.giveBack(items));
}

/** `LPUSH`: items from outside, behind what has come so far (rule 24). */
function push(...[context, , args, out]: Parameters<CommandHandler>): undefined {
  putIn(context, args, out, (queue, items) => queue.push(items));
}

function putIn(
  context: CommandContext,
  args: readonly Buffer[],
  out: ReplyWriter,
  put: (queue: Queue, items: readonly Buffer[]) => number,
): void {
  const queue = queueAt(context, args, 1);
  if (queue === undefined) throw unknownQueue(argument(args, 1));
  const items = args.slice(2);
  // As in Redis, the length before waiting clients get what was pushed.
  const length = queue.length + items.length;
  put(queue, items);
  out.integer(length);
}

function unknownQueue(key: Buffer): ReplyError {
  return new ReplyError(
    `ERR no queue has the key '${shown(key)}': a queue is made by "d4 queue add TYPE", its key is analyzer:TYPE:UUID`,
  );
}

function length(...[context, , args, out]: Parameters<CommandHandler>): undefined {
  out.integer(queueAt(context, args, 1)?.length ?? 0);
}

function isQueue(...[context, , args, out]: Parameters<CommandHandler>): undefined {
  out.integer(queueAt(context, args, 1) === undefined ? 0 : 1);
}

function range(...[context, , args, out]: Parameters<CommandHandler>): ReturnType<CommandHandler> {
  const start = integer(args, 2);
  const stop = integer(args, 3);
  const queue = queueAt(context, args, 1);
  if (queue === undefined) {
    out.array(0);
    return undefined;
  }
  return queue.range(start, stop).then((items) => ({ write: (to) => to.bulks(items), abandon: () => {} }));
}

function index(...[context, , args, out]: Parameters<CommandHandler>): ReturnType<CommandHandler> {
  const at = integer(args, 2);
  const queue = queueAt(context, args, 1);
  if (queue === undefined) {
    out.null();
    return undefined;
  }
  return queue.range(at, at).then(([item]) => ({
    write: (to) => (item === undefined ? to.null() : to.bulk(item)),
    abandon: () => {},
  }));
}

function flush(...[context, , args, out]: Parameters<CommandHandler>): undefined {
  let flushed = 0;
  for (let at = 1; at < args.length; at++) {
    const queue = queueAt(context, args, at);
    if (queue !== undefined && queue.flush() > 0) flushed++;
  }
  out.integer(flushed);
}

function exists(...[context, , args, out]: Parameters<CommandHandler>): undefined {
  let found = 0;
  for (let at = 1; at < args.length; at++) {
    if ((queueAt(context, args, at)?.length ?? 0) > 0) found++;
  }
  out.integer(found);
}

function type(...[context, , args, out]: Parameters<CommandHandler>): undefined {
  out.simple((queueAt(context, args, 1)?.length ?? 0) > 0 ? 'list' : 'none');
}

function filledKeys(context: CommandContext, client: Client, pattern: string): Buffer[] {
  const matches = globTest(pattern);
  const keys = filledQueues(context, client).map(formatQueueKey);
  return keys.filter(matches).map((key) => Buffer.from(key));
}

function keys(...[context, client, args, out]: Parameters<CommandHandler>): undefined {
  out.bulks(filledKeys(context, client, word(args, 1)));
}

/** Everything in one answer: queues are few. */
function scan(...[context, client, args, out]: Parameters<CommandHandler>): undefined {
  if (!/^\d+$/.test(word(args, 1))) throw new ReplyError('ERR invalid cursor');
  let pattern = '*';
  let onlyType = 'list';
  for (let at = 2; at < args.length; at += 2) {
    const option = word(args, at).toLowerCase();
    if (option === 'match') pattern = word(args, at + 1);
    else if (option === 'type') onlyType = word(args, at + 1).toLowerCase();
    else if (option === 'count') integer(args, at + 1);
    else throw new ReplyError('ERR syntax error');
  }
  out.array(2);
  out.text('0');
  out.bulks(onlyType === 'list' && word(args, 1) === '0' ? filledKeys(context, client, pattern) : []);
}

function size(...[context, client, , out]: Parameters<CommandHandler>): undefined {
  out.integer(filledKeys(context, client, '*').length);
}
