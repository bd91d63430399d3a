import { D4Error } from '@d4ts/protocol';
import {
  argument,
  type Client,
  type Command,
  type CommandContext,
  type CommandHandler,
  type LateReply,
  ReplyError,
  shown,
  word,
} from './command.ts';
import { CONNECTION_COMMANDS, writeDescription, wrongArity } from './connection-commands.ts';
import { QUEUE_COMMANDS } from './queue-commands.ts';
import { parseQueueKey } from './queue-key.ts';
import type { ReplyWriter } from './reply-writer.ts';
import { enqueue, TRANSACTION_COMMANDS } from './transaction-commands.ts';

const ABOUT_COMMANDS: Command = { name: 'command', arity: -1, keys: [0, 0, 0], flags: ['stale'], handle: about };

const COMMANDS: ReadonlyMap<string, Command> = new Map(
  [...CONNECTION_COMMANDS, ...QUEUE_COMMANDS, ...TRANSACTION_COMMANDS, ABOUT_COMMANDS].map((command) => [
    command.name,
    command,
  ]),
);

/**
 * Answers one request, at once or later. What goes wrong is answered as an error, and is logged where it is not the
 * client's fault.
 */
export function execute(
  context: CommandContext,
  client: Client,
  args: readonly Buffer[],
  out: ReplyWriter,
): undefined | Promise<LateReply> {
  try {
    const name = word(args, 0).toLowerCase();
    const command = COMMANDS.get(name);
    if (command === undefined) {
      if (isHttp(name, args)) {
        client.cutOff('it speaks HTTP');
        return undefined;
      }
      throw unknownCommand(args);
    }
    client.lastCommand = name;
    if (command.arity < 0 ? args.length < -command.arity : args.length !== command.arity) throw wrongArity(name);
    checkRights(client, command, args);
    if (client.transaction !== undefined && command.immediate !== true) {
      enqueue(client.transaction, args);
      out.simple('QUEUED');
      return undefined;
    }
    return command.handle(context, client, args, out)?.catch((error) => {
      const text = errorReply(context, client, error);
      return { write: (to) => to.error(text), abandon: () => {} };
    });
  } catch (error) {
    if (client.transaction !== undefined) client.transaction.failed = true;
    out.error(errorReply(context, client, error));
    return undefined;
  }
}

/** @throws {ReplyError} where the client may not do this */
function checkRights({ rights }: Client, command: Command, args: readonly Buffer[]): void {
  if (rights === 'all' || command.flags.includes('no_auth')) return;
  if (rights === undefined) throw new ReplyError('NOAUTH Authentication required.');
  if (command.pushes === true && !rights.push) {
    throw new ReplyError(`NOPERM this credential may take items but not push any: see "d4 queue credential --push"`);
  }
  const [first, last, step] = command.keys;
  if (first === 0) return;
  for (let at = first; at <= (last < 0 ? args.length + last : last); at += step) {
    if (parseQueueKey(argument(args, at))?.uuid === rights.queue) continue;
    throw new ReplyError(`NOPERM this credential opens queue ${rights.queue} alone`);
  }
}

/**
 * A browser that was made to send requests here must not get to a body of its choice: the first line of HTTP closes the
 * connection, and so does any header that matters.
 */
function isHttp(name: string, args: readonly Buffer[]): boolean {
  return name === 'post' || name === 'host:' || (args.at(-1)?.toString('latin1', 0, 5) === 'HTTP/' && args.length > 1);
}

function errorReply(context: CommandContext, client: Client, error: unknown): string {
  if (error instanceof ReplyError) return error.message;
  if (error instanceof D4Error) return `ERR ${error.message}`;
  context.log.error({ err: error, address: client.address, command: client.lastCommand }, 'a queue command failed');
  return `ERR ${client.lastCommand.toUpperCase()} failed in the server; its log says why`;
}

function unknownCommand(args: readonly Buffer[]): ReplyError {
  const rest = args
    .slice(1, 6)
    .map((each) => `'${shown(each)}' `)
    .join('');
  return new ReplyError(`ERR unknown command '${shown(argument(args, 0))}', with args beginning with: ${rest}`);
}

function about(...[, , args, out]: Parameters<CommandHandler>): undefined {
  const wanted = args.slice(2).map((name) => name.toString('latin1').toLowerCase());
  switch (args.length > 1 ? word(args, 1).toLowerCase() : '') {
    case '':
      out.array(COMMANDS.size);
      for (const command of COMMANDS.values()) writeDescription(command, out);
      return;
    case 'count':
      out.integer(COMMANDS.size);
      return;
    case 'list':
      out.bulks([...COMMANDS.keys()].map((name) => Buffer.from(name)));
      return;
    case 'docs':
      out.map(0);
      return;
    case 'info':
      out.array(wanted.length);
      for (const name of wanted) {
        const command = COMMANDS.get(name);
        if (command === undefined) out.nullArray();
        else writeDescription(command, out);
      }
      return;
    default:
      throw new ReplyError(`ERR unknown subcommand '${shown(argument(args, 1))}'. Try COMMAND COUNT, LIST, INFO.`);
  }
}
