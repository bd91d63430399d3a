import { randomUUID } from 'node:crypto';
import { D4Error } from './errors.ts';

declare const sensorIdBrand: unique symbol;

/** A sensor's UUID as text: lower case, with dashes. */
export type SensorId = string & { readonly [sensorIdBrand]: true };

const PLAIN = /^[0-9a-f]{32}$/;
const DASHED = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** A new random (version 4) sensor UUID. */
export function newSensorId(): SensorId {
  return randomUUID() as SensorId;
}

/**
 * Reads a UUID with or without dashes, in any case, of any version.
 * @returns undefined where the text is not a UUID
 */
export function sensorIdFrom(text: string): SensorId | undefined {
  const lower = text.trim().toLowerCase();
  if (DASHED.test(lower)) return lower as SensorId;
  if (PLAIN.test(lower)) return withDashes(lower);
  return undefined;
}

/**
 * Reads a UUID with or without dashes.
 * @throws {D4Error} D4_BAD_UUID
 */
export function parseSensorId(text: string): SensorId {
  const id = sensorIdFrom(text);
  if (id === undefined) {
    throw new D4Error('D4_BAD_UUID', `"${text}" is not a UUID: expected 32 hexadecimal digits, with or without dashes`);
  }
  return id;
}

/** The UUID in the 16 bytes of `bytes` at `at`, in the order of its text. */
export function sensorIdAt(bytes: Buffer, at = 0): SensorId {
  return withDashes(bytes.toString('hex', at, at + 16));
}

/** The 16 raw bytes of a UUID, in the order of its text (RFC 9562, section 4). */
export function sensorIdBytes(id: SensorId): Buffer {
  return Buffer.from(id.replaceAll('-', ''), 'hex');
}

/** The UUID as 32 hexadecimal digits, as the archive's paths and the registration API write it. */
export function sensorIdHex(id: SensorId): string {
  return id.replaceAll('-', '');
}

/** Whether version and variant say UUID version 4 (RFC 9562, section 5.4). */
export function isVersion4(id: SensorId): boolean {
  const variant = id.charCodeAt(19);
  return id[14] === '4' && (variant === 0x38 || variant === 0x39 || variant === 0x61 || variant === 0x62);
}

function withDashes(hex: string): SensorId {
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}` as SensorId;
}
