import { type SensorId, sensorIdFrom } from '@d4ts/protocol';
import type { Queue, QueueInfo, Queues } from '../port.ts';
import type { Rights } from './access.ts';

/** What a consumer's key names: `analyzer:<topic>:<queue uuid>`. */
export interface QueueKey {
  readonly topic: string;
  readonly uuid: SensorId;
}

const PREFIX = 'analyzer:';

/**
 * Reads a consumer's key; the uuid with or without dashes, in any case.
 * @returns undefined where it is not the key of a queue
 */
export function parseQueueKey(key: Buffer): QueueKey | undefined {
  const text = key.toString('latin1');
  if (!text.startsWith(PREFIX)) return undefined;
  const colon = text.indexOf(':', PREFIX.length);
  if (colon < 0) return undefined;
  const uuid = sensorIdFrom(text.slice(colon + 1));
  return uuid === undefined ? undefined : { topic: text.slice(PREFIX.length, colon), uuid };
}

/** The key of a queue, as consumers write it. */
export function formatQueueKey(queue: { topic: string; uuid: string }): string {
  return `${PREFIX}${queue.topic}:${queue.uuid}`;
}

/** The queue that a key names; a key with another topic than its queue's names none. */
export function findQueue(queues: Queues, key: QueueKey | undefined): Queue | undefined {
  if (key === undefined) return undefined;
  const queue = queues.get(key.uuid);
  return queue?.topic === key.topic ? queue : undefined;
}

/** The queues with items that a client may know of. */
export function filledQueues({ queues }: { queues: Queues }, { rights }: { rights: Rights | undefined }): QueueInfo[] {
  return queues.list().filter(({ uuid, length }) => length > 0 && (rights === 'all' || rights?.queue === uuid));
}
