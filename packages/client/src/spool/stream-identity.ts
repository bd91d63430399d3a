import { D4Error, isStreamId, type SensorId, sensorIdFrom } from '@d4ts/protocol';

/** What a stream is, for as long as any of its bytes is kept: what the server must be told again when it is resumed. */
export interface StreamIdentity {
  /** 16 random bytes, as 32 hexadecimal digits (journal rule 39). */
  readonly id: string;
  readonly sensor: SensorId;
  /** The wire type. */
  readonly type: number;
  /** The meta header's bytes, for type 254. */
  readonly metaHeader?: Buffer;
  /** The id of the stream that this one continues. */
  readonly previous?: string;
  /** For people: the source's name. */
  readonly source: string;
  /** When it was begun, in ms since 1970 by this machine's clock, which may be wrong. */
  readonly startedAt: number;
}

/** The version of the spool's files. */
const SPOOL_FORMAT = 1;

/** An identity as it is written into the spool's files, with the format's version. */
export function identityToJson(identity: StreamIdentity): Record<string, unknown> {
  const { metaHeader, ...rest } = identity;
  return {
    format: SPOOL_FORMAT,
    ...rest,
    ...(metaHeader === undefined ? {} : { metaHeader: metaHeader.toString('base64') }),
  };
}

/**
 * Reads an identity; undefined where the value is none.
 * @param where for the error's message
 * @throws {D4Error} D4_SPOOL_FORMAT where a newer version wrote it
 */
export function identityFromJson(value: unknown, where: string): StreamIdentity | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { format, id, sensor, type, metaHeader, previous, source, startedAt } = value as Record<string, unknown>;
  if (typeof format === 'number' && format > SPOOL_FORMAT) {
    throw new D4Error(
      'D4_SPOOL_FORMAT',
      `${where} has format ${format}, and this version of the client knows formats up to ${SPOOL_FORMAT}: start the ` +
        'newer version that wrote it, or move the file away',
    );
  }
  const sensorId = typeof sensor === 'string' ? sensorIdFrom(sensor) : undefined;
  if (format !== SPOOL_FORMAT || typeof id !== 'string' || !isStreamId(id) || sensorId === undefined) return undefined;
  if (typeof type !== 'number' || typeof source !== 'string' || typeof startedAt !== 'number') return undefined;
  return {
    id,
    sensor: sensorId,
    type,
    source,
    startedAt,
    ...(typeof metaHeader === 'string' ? { metaHeader: Buffer.from(metaHeader, 'base64') } : {}),
    ...(typeof previous === 'string' && isStreamId(previous) ? { previous } : {}),
  };
}
