import { answered, api, type Schemas } from './client.ts';

type Bulk = Schemas['SensorBulk'];

/** Sensors that one request takes. */
const AT_ONCE = 1_000;

/**
 * Does the same to many sensors, however many.
 * @returns how many it was done to, and how many not, with what the first of these was told
 */
export async function bulk(
  uuids: readonly string[],
  action: Bulk['action'],
  more: Pick<Bulk, 'tag' | 'reason'> = {},
): Promise<{ done: number; failed: number; firstError: string | undefined }> {
  const result = { done: 0, failed: 0, firstError: undefined as string | undefined };
  for (let at = 0; at < uuids.length; at += AT_ONCE) {
    const body = { action, uuids: uuids.slice(at, at + AT_ONCE), ...more };
    const { done, failed, items } = await answered(api.POST('/api/v1/sensors/bulk', { body }));
    result.done += done;
    result.failed += failed;
    result.firstError ??= items.find(({ ok }) => !ok)?.error?.message;
  }
  return result;
}
