import { lstatSync, unlinkSync } from 'node:fs';
import { connect, type Server } from 'node:net';
import { D4Error } from '@d4ts/protocol';

/** What is taken from the permissions of a new socket: it is its owner's and its group's, 0660. */
const UMASK = 0o117;
const KNOCK_MS = 1_000;

/**
 * Listens on a socket file that the owner and the group of this process may use. One that a dead server has left behind
 * is removed.
 * @param path absolute
 * @throws {D4Error} D4_LISTEN where something else is there, a living server uses it, or the system refuses
 */
export async function listenOnPath(server: Server, path: string): Promise<void> {
  await removeStale(path);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const failed = (error: NodeJS.ErrnoException) => {
    const why =
      error.code === 'EINVAL' || error.code === 'ENAMETOOLONG'
        ? 'the path is too long for a socket (107 bytes at most)'
        : error.message;
    reject(failure(path, why, error));
  };
  server.once('error', failed);
  server.once('listening', () => {
    server.removeListener('error', failed);
    resolve();
  });
  // The file is made during the call, so that nobody finds it with other permissions.
  const before = process.umask(UMASK);
  try {
    server.listen({ path });
  } finally {
    process.umask(before);
  }
  return promise;
}

async function removeStale(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket()) throw failure(path, 'something that is no socket has this name');
  if (await answers(path)) throw failure(path, 'another program listens there');
  unlinkSync(path);
}

/** Whether somebody accepts connections there; who is too busy to answer lives. */
function answers(path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect({ path });
  const timer = setTimeout(() => resolve(true), KNOCK_MS);
  socket.once('connect', () => resolve(true));
  socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code !== 'ECONNREFUSED'));
  return promise.finally(() => {
    clearTimeout(timer);
    socket.destroy();
  });
}

function failure(path: string, why: string, cause?: unknown): D4Error {
  return new D4Error(
    'D4_LISTEN',
    `cannot listen for queue clients at ${path}: ${why}; choose another path by --redis-socket`,
    cause,
  );
}
