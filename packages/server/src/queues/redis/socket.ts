import { createServer, type Server, type Socket } from 'node:net';
import { D4Error } from '@d4ts/protocol';
import type { Logger } from 'pino';
import type { Queues } from '../port.ts';
import { type AttemptLimit, Gate } from './access.ts';
import type { CommandContext } from './command.ts';
import { Connection } from './connection.ts';
import { ReplyWriter } from './reply-writer.ts';
import { listenOnPath } from './unix-socket.ts';
import { WaitingLines } from './waiting-lines.ts';

const DEFAULT_MAX_CLIENTS = 1_000;
const NO_LIMIT: AttemptLimit = { waitFor: () => 0, failed: () => {} };

/** A listening Redis-protocol socket. */
export interface RedisSocket {
  /** The address that it really has. */
  readonly address: { readonly host: string; readonly port: number };
  /** Clients that are connected. */
  readonly clients: number;
  /**
   * Stops accepting, lets the replies under way be read (at most 5 s), and ends all clients. Items that were taken for
   * clients that could not get them are back in their queues when it resolves.
   */
  close(): Promise<void>;
}

/**
 * Opens the socket through which analyzers pop from their queues (docs/drop-in.md): the Redis protocol, RESP2 and
 * RESP3, without a Redis.
 * @param options.path a socket file where it listens as well, absolute
 * @param options.password needed for everything but what a queue's credential opens; none if not given
 * @param options.attempts holds back who tries secret after secret; nobody is if not given
 * @param options.maxClients beyond it, new clients are told so and closed; default 1,000
 * @throws {D4Error} D4_LISTEN where the address cannot be listened on
 */
export async function startRedisSocket(options: {
  listen: { host: string; port: number };
  queues: Queues;
  log: Logger;
  path?: string | undefined;
  password?: string | undefined;
  attempts?: AttemptLimit;
  maxClients?: number;
}): Promise<RedisSocket> {
  const { listen, queues, log, path, password, attempts = NO_LIMIT } = options;
  const maxClients = options.maxClients ?? DEFAULT_MAX_CLIENTS;
  const clients = new Map<number, Connection>();
  const refusing = new Set<Socket>();
  const lines = new WaitingLines(queues, log);
  const gate = new Gate(queues, password, attempts);
  const context: CommandContext = { queues, lines, gate, clients, maxClients, startedAt: Date.now(), log };
  const out = new ReplyWriter();
  let lastId = 0;
  let wasFull = false;

  const accept = (socket: Socket): void => {
    if (clients.size >= maxClients) {
      if (!wasFull)
        log.warn({ maxClients, address: socket.remoteAddress }, 'too many queue clients: refusing new ones');
      wasFull = true;
      refuse(socket, refusing);
      return;
    }
    wasFull = false;
    const connection = new Connection(socket, ++lastId, context, out);
    clients.set(connection.id, connection);
    log.debug({ address: connection.address, port: connection.port, client: connection.id }, 'queue client connected');
    void connection.closed.then(() => {
      clients.delete(connection.id);
      log.debug({ address: connection.address, port: connection.port, client: connection.id }, 'queue client gone');
    });
  };
  const stopWatching = queues.onChange(() => {
    for (const client of clients.values()) {
      const { rights } = client;
      if (typeof rights === 'object' && !rights.isCurrent()) client.cutOff('its credential does not hold any more');
    }
  });

  const servers = [createServer({ allowHalfOpen: true }, accept)];
  const [server] = servers as [Server];
  const close = async (): Promise<void> => {
    stopWatching();
    const closed = servers.map((each) => new Promise<void>((resolve) => each.close(() => resolve())));
    for (const socket of refusing) socket.destroy();
    await Promise.all([...clients.values()].map((connection) => connection.close()));
    await lines.close();
    await Promise.all(closed);
  };
  try {
    await listening(server, listen);
    if (path !== undefined) {
      const local = createServer({ allowHalfOpen: true }, accept);
      await listenOnPath(local, path);
      servers.push(local);
    }
  } catch (error) {
    await close();
    throw error;
  }
  for (const each of servers) {
    each.on('error', (error) => log.error({ err: error }, 'the socket for queue clients failed to accept a client'));
  }
  const bound = server.address();
  const address = bound === null || typeof bound === 'string' ? listen : { host: bound.address, port: bound.port };
  if (password === undefined && !isLoopback(address.host)) {
    log.warn({ address: address.host }, 'whoever reaches the port for analyzers may use it: set redis-password');
  }

  return {
    address,
    get clients() {
      return clients.size;
    },
    close,
  };
}

function isLoopback(host: string): boolean {
  return host === '::1' || host.startsWith('127.') || host.startsWith('::ffff:127.');
}

/** Tells a client that there are too many, without giving it the means to stay. */
function refuse(socket: Socket, refusing: Set<Socket>): void {
  refusing.add(socket);
  socket.on('close', () => refusing.delete(socket));
  socket.on('error', () => {});
  socket.end('-ERR max number of clients reached\r\n', () => socket.destroy());
}

function listening(server: Server, listen: { host: string; port: number }): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('listening', resolve);
  server.once('error', (error: NodeJS.ErrnoException) => {
    const at = listen.host.includes(':') ? `[${listen.host}]:${listen.port}` : `${listen.host}:${listen.port}`;
    const why = error.code === 'EADDRINUSE' ? 'the port is in use by another program' : error.message;
    reject(
      new D4Error(
        'D4_LISTEN',
        `cannot listen for queue clients at ${at}: ${why}; choose another address by --redis`,
        error,
      ),
    );
  });
  server.listen({ host: listen.host, port: listen.port });
  return promise;
}
