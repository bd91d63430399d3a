import { Redis } from 'ioredis';
import { addressText } from '../destination.ts';
import { pause } from './descriptor.ts';
import type { Source } from './source.ts';

/** A list of a Redis server: a queue of another D4 server. */
export interface RedisListOptions {
  readonly host: string;
  readonly port: number;
  readonly database: number;
  /** The list's key. */
  readonly queue: string;
  /** Between looks at an empty list, in ms. */
  readonly pollMs: number;
  readonly onTrouble: (text: string) => void;
}

const NEWLINE = Buffer.from('\n');
/** What has been popped is nowhere else, so little of it is held. */
const READ_AHEAD_BYTES = 65_536;
const RECONNECT_MOST_MS = 10_000;

/**
 * Pops the items of a D4 server's queue (`LPOP`), each with a newline, as the Go client does to forward from one server
 * to another. Reconnects for ever.
 */
export function redisListSource(options: RedisListOptions): Source {
  const where = `${addressText(options)}/${options.database}`;
  return {
    name: `${options.queue} of ${where}`,
    endless: true,
    readAheadBytes: READ_AHEAD_BYTES,
    async *read(stop) {
      const redis = new Redis({
        host: options.host,
        port: options.port,
        db: options.database,
        maxRetriesPerRequest: null,
        // A pop that was under way when the connection broke is sent again: what it took, if anything, is lost anyway.
        autoResendUnfulfilledCommands: true,
        retryStrategy: (times) => Math.min(100 * 2 ** Math.min(times, 10), RECONNECT_MOST_MS),
      });
      redis.on('error', (error: Error) => options.onTrouble(`Redis at ${where}: ${error.message}`));
      const abort = () => redis.disconnect();
      stop.addEventListener('abort', abort, { once: true });
      try {
        while (!stop.aborted) {
          const item = await pop(redis, options, stop);
          if (item === undefined) await pause(options.pollMs, stop);
          else yield Buffer.concat([item, NEWLINE]);
        }
      } finally {
        stop.removeEventListener('abort', abort);
        redis.disconnect();
      }
    },
  };
}

async function pop(redis: Redis, options: RedisListOptions, stop: AbortSignal): Promise<Buffer | undefined> {
  // While it reconnects, the library leaves a command waiting, also when it is told to disconnect.
  const stopped = Promise.withResolvers<undefined>();
  const onStop = () => stopped.resolve(undefined);
  stop.addEventListener('abort', onStop, { once: true });
  try {
    return (await Promise.race([redis.lpopBuffer(options.queue), stopped.promise])) ?? undefined;
  } catch (error) {
    if (!stop.aborted) options.onTrouble(`LPOP ${options.queue}: ${(error as Error).message}`);
    return undefined;
  } finally {
    stop.removeEventListener('abort', onStop);
  }
}
