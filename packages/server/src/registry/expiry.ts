import type { Logger } from 'pino';
import { isForgettable } from './enrolment-token.ts';
import type { Actor, Registry } from './port.ts';

const SERVER: Actor = { name: 'server' };
const INTERVAL_MS = 2_000;

type Expiring = Pick<Registry, 'blocks' | 'sensors' | 'enrolments'>;

/**
 * Removes what has expired: blocks, keys that were replaced, enrolment tokens of long ago. Whoever watches the registry then follows, so that
 * nobody else needs a timer for it.
 * @param now ms since 1970
 * @returns how many documents were changed
 */
export async function removeExpired(registry: Expiring, now: number): Promise<number> {
  const blocks = [...registry.blocks.entries()].filter(
    ([, { value }]) => value.expiresAt !== undefined && value.expiresAt <= now,
  );
  for (const [target, { revision }] of blocks) await registry.blocks.remove(target, SERVER, revision);
  const sensors = [...registry.sensors.entries()].filter(([, { value }]) => (value.previousKeyUntil ?? now + 1) <= now);
  for (const [uuid, { value, revision }] of sensors) {
    const { previousKey: _, previousKeyUntil: __, ...rest } = value;
    await registry.sensors.put(uuid, rest, SERVER, revision);
  }
  const enrolments = [...registry.enrolments.entries()].filter(([, { value }]) => isForgettable(value, now));
  for (const [key, { revision }] of enrolments) await registry.enrolments.remove(key, SERVER, revision);
  return blocks.length + sensors.length + enrolments.length;
}

/** Removes what expires as long as the server runs, at most two seconds late. What expired before is gone when it is resolved. */
export async function startExpiry(
  registry: Expiring,
  log: Pick<Logger, 'error'>,
  now: () => number = Date.now,
): Promise<{ close(): Promise<void> }> {
  let running: Promise<unknown> = removeExpired(registry, now());
  await running;
  let busy = false;
  const timer = setInterval(() => {
    if (busy) return;
    busy = true;
    running = removeExpired(registry, now())
      .catch((error: unknown) => log.error({ err: error }, 'what has expired cannot be removed from the registry'))
      .finally(() => {
        busy = false;
      });
  }, INTERVAL_MS);
  return {
    async close() {
      clearInterval(timer);
      await running;
    },
  };
}
