import {
  argument,
  type Client,
  type Command,
  type CommandContext,
  type CommandHandler,
  integer,
  ReplyError,
  shown,
  word,
} from './command.ts';
import { filledQueues } from './queue-key.ts';
import type { ReplyWriter } from './reply-writer.ts';

/** The version of Redis whose behaviour is kept to; client libraries look at it to see what they may use. */
const SPOKEN_REDIS_VERSION = '7.0.15';
const MAX_DATABASE = 15;
const NAME = /^[\x21-\x7e]*$/;

/** The commands about the connection and the server. */
export const CONNECTION_COMMANDS: readonly Command[] = [
  { name: 'ping', arity: -1, keys: [0, 0, 0], flags: ['fast'], handle: ping },
  { name: 'echo', arity: 2, keys: [0, 0, 0], flags: ['fast'], handle: echo },
  { name: 'hello', arity: -1, keys: [0, 0, 0], flags: ['noscript', 'fast', 'no_auth'], handle: hello },
  { name: 'auth', arity: -2, keys: [0, 0, 0], flags: ['noscript', 'fast', 'no_auth'], handle: auth },
  { name: 'select', arity: 2, keys: [0, 0, 0], flags: ['fast'], handle: select },
  { name: 'client', arity: -2, keys: [0, 0, 0], flags: ['noscript'], handle: client },
  { name: 'info', arity: -1, keys: [0, 0, 0], flags: ['stale'], handle: info },
  { name: 'time', arity: 1, keys: [0, 0, 0], flags: ['fast'], handle: time },
  { name: 'reset', arity: 1, keys: [0, 0, 0], flags: ['noscript', 'fast', 'no_auth'], immediate: true, handle: reset },
  { name: 'quit', arity: -1, keys: [0, 0, 0], flags: ['noscript', 'fast', 'no_auth'], immediate: true, handle: quit },
];

function ping(...[, , args, out]: Parameters<CommandHandler>): undefined {
  if (args.length > 2) throw wrongArity('ping');
  if (args.length === 1) out.simple('PONG');
  else out.bulk(argument(args, 1));
}

function echo(...[, , args, out]: Parameters<CommandHandler>): undefined {
  out.bulk(argument(args, 1));
}

function hello(...[context, self, args, out]: Parameters<CommandHandler>): undefined {
  let protocol: 2 | 3 = self.protocol;
  let name: string | undefined;
  let { rights } = self;
  if (args.length > 1) {
    const version = word(args, 1);
    if (version !== '2' && version !== '3') throw new ReplyError('NOPROTO unsupported protocol version');
    protocol = version === '3' ? 3 : 2;
  }
  for (let at = 2; at < args.length; ) {
    const option = word(args, at).toLowerCase();
    if (option === 'auth') {
      rights = context.gate.login(self.address, word(args, at + 1), argument(args, at + 2));
      at += 3;
    } else if (option === 'setname') {
      name = clientName(args, at + 1);
      at += 2;
    } else {
      throw new ReplyError(`ERR Syntax error in HELLO option '${shown(argument(args, at))}'`);
    }
  }
  if (rights === undefined) {
    throw new ReplyError(
      'NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time',
    );
  }
  self.rights = rights;
  self.protocol = protocol;
  out.protocol = protocol;
  if (name !== undefined) self.name = name;
  out.map(7);
  out.text('server');
  out.text('d4');
  out.text('version');
  out.text(SPOKEN_REDIS_VERSION);
  out.text('proto');
  out.integer(protocol);
  out.text('id');
  out.integer(self.id);
  out.text('mode');
  out.text('standalone');
  out.text('role');
  out.text('master');
  out.text('modules');
  out.array(0);
}

function auth(...[context, self, args, out]: Parameters<CommandHandler>): undefined {
  if (args.length > 3) throw new ReplyError('ERR syntax error');
  const user = args.length === 2 ? undefined : word(args, 1);
  self.rights = context.gate.login(self.address, user, argument(args, args.length - 1));
  out.simple('OK');
}

function select(...[, self, args, out]: Parameters<CommandHandler>): undefined {
  const database = integer(args, 1);
  if (database < 0 || database > MAX_DATABASE) throw new ReplyError('ERR DB index is out of range');
  self.database = database;
  out.simple('OK');
}

function client(...[context, self, args, out]: Parameters<CommandHandler>): undefined {
  switch (word(args, 1).toLowerCase()) {
    case 'id':
      out.integer(self.id);
      return;
    case 'getname':
      if (self.name === '') out.null();
      else out.text(self.name);
      return;
    case 'setname':
      self.name = clientName(args, 2);
      out.simple('OK');
      return;
    case 'setinfo':
      setInfo(self, args);
      out.simple('OK');
      return;
    case 'info':
      out.text(`${describe(self)}\n`);
      return;
    case 'list':
      out.text(
        visibleClients(context, self)
          .map((each) => `${describe(each)}\n`)
          .join(''),
      );
      return;
    case 'unblock':
      out.integer(unblock(context, self, args));
      return;
    case 'no-evict':
    case 'no-touch':
      out.simple('OK');
      return;
    default:
      throw new ReplyError(
        `ERR unknown subcommand '${shown(argument(args, 1))}'. Try CLIENT ID, LIST, SETNAME, UNBLOCK.`,
      );
  }
}

function clientName(args: readonly Buffer[], at: number): string {
  const name = word(args, at);
  if (!NAME.test(name) || name.length > 256) {
    throw new ReplyError('ERR Client names cannot contain spaces, newlines or special characters.');
  }
  return name;
}

function setInfo(self: Client, args: readonly Buffer[]): void {
  const value = word(args, 3);
  if (!NAME.test(value) || value.length > 256) {
    throw new ReplyError('ERR CLIENT SETINFO values cannot contain spaces, newlines or special characters.');
  }
  switch (word(args, 2).toLowerCase()) {
    case 'lib-name':
      self.library = value;
      return;
    case 'lib-ver':
      self.libraryVersion = value;
      return;
    default:
      throw new ReplyError(`ERR Unrecognized option '${shown(argument(args, 2))}'`);
  }
}

/** Who has a credential sees those that have the same one. */
function visibleClients({ clients }: CommandContext, { rights }: Client): Client[] {
  const all = [...clients.values()];
  if (rights === 'all') return all;
  return all.filter((each) => typeof each.rights === 'object' && each.rights.queue === rights?.queue);
}

function unblock(context: CommandContext, self: Client, args: readonly Buffer[]): number {
  const reason = args.length > 3 ? word(args, 3).toLowerCase() : 'timeout';
  if (reason !== 'timeout' && reason !== 'error')
    throw new ReplyError('ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR');
  const id = integer(args, 2);
  const other = visibleClients(context, self).find((each) => each.id === id);
  if (!other?.wait?.cancel()) return 0;
  other.unblockedByError = reason === 'error';
  return 1;
}

function describe(each: Client): string {
  const host = each.address.includes(':') ? `[${each.address}]` : each.address;
  const age = Math.floor((Date.now() - each.since) / 1000);
  return (
    `id=${each.id} addr=${host}:${each.port} name=${each.name} age=${age} db=${each.database} ` +
    `flags=${each.wait === undefined ? 'N' : 'b'} cmd=${each.lastCommand || 'NULL'} resp=${each.protocol} ` +
    `lib-name=${each.library} lib-ver=${each.libraryVersion}`
  );
}

/** The sections that clients and monitoring read; `loading` and `role` are what libraries wait for at connect. */
function info(...[context, self, args, out]: Parameters<CommandHandler>): undefined {
  const wanted = new Set(args.slice(1).map((_, at) => word(args, at + 1).toLowerCase()));
  const all = wanted.size === 0 || wanted.has('all') || wanted.has('default') || wanted.has('everything');
  const filled = filledQueues(context, self).length;
  const sections: [string, Record<string, string | number>][] = [
    [
      'Server',
      {
        redis_version: SPOKEN_REDIS_VERSION,
        redis_mode: 'standalone',
        server_name: 'd4',
        process_id: process.pid,
        uptime_in_seconds: Math.floor((Date.now() - context.startedAt) / 1000),
      },
    ],
    [
      'Clients',
      {
        connected_clients: context.clients.size,
        maxclients: context.maxClients,
        blocked_clients: context.lines.size,
      },
    ],
    ['Persistence', { loading: 0 }],
    ['Replication', { role: 'master', connected_slaves: 0 }],
    ['Cluster', { cluster_enabled: 0 }],
    ['Keyspace', filled > 0 ? { db2: `keys=${filled},expires=0,avg_ttl=0` } : {}],
  ];
  const text = sections
    .filter(([title]) => all || wanted.has(title.toLowerCase()))
    .map(([title, values]) => `# ${title}\r\n${lines(values)}`)
    .join('\r\n');
  out.text(text);
}

function lines(values: Record<string, string | number>): string {
  return Object.entries(values)
    .map(([key, value]) => `${key}:${value}\r\n`)
    .join('');
}

function time(...[, , , out]: Parameters<CommandHandler>): undefined {
  const now = Date.now();
  out.array(2);
  out.text(String(Math.floor(now / 1000)));
  out.text(String((now % 1000) * 1000));
}

function reset(...[context, self, , out]: Parameters<CommandHandler>): undefined {
  self.transaction = undefined;
  self.rights = context.gate.initial;
  self.protocol = 2;
  self.name = '';
  self.database = 0;
  out.protocol = 2;
  out.simple('RESET');
}

function quit(...[, self, , out]: Parameters<CommandHandler>): undefined {
  out.simple('OK');
  self.quit();
}

/** What Redis answers to a wrong number of arguments. */
export function wrongArity(name: string): ReplyError {
  return new ReplyError(`ERR wrong number of arguments for '${name}' command`);
}

/** Writes the description of a command, as `COMMAND` does. */
export function writeDescription(command: Command, out: ReplyWriter): void {
  out.array(6);
  out.text(command.name);
  out.integer(command.arity);
  out.array(command.flags.length);
  for (const flag of command.flags) out.simple(flag);
  for (const position of command.keys) out.integer(position);
}
