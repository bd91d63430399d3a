import { crc32 } from 'node:zlib';
import { D4Error } from '../errors.ts';
import { type HostAndPort, serverAddressFrom, serverAddressText } from '../server-address.ts';

/** What every enrolment token begins with; the number is the version of its form. */
const PREFIX = 'd4e1_';

/** Bytes of the secret in a token. */
export const ENROLL_SECRET_BYTES = 24;

const CRC_BYTES = 4;
const SHA256_BYTES = 32;
/** Before the address. */
const FIXED_BYTES = CRC_BYTES + SHA256_BYTES + ENROLL_SECRET_BYTES;
/** `HOST:PORT` with a host of 253 characters at the most. */
const MAX_ADDRESS_BYTES = 260;

/** What a sensor needs to register itself once (docs/enrolment.md). */
export interface EnrollToken {
  /** Where the server takes sensors. */
  readonly server: HostAndPort;
  /** SHA-256 of the certificate (DER) of the authority that signed the server's; lower-case hexadecimal. */
  readonly caSha256: string;
  /** `ENROLL_SECRET_BYTES` random bytes. */
  readonly secret: Buffer;
}

/** The token as one text without white space, to be copied. */
export function encodeEnrollToken({ server, caSha256, secret }: EnrollToken): string {
  const bytes = Buffer.concat([Buffer.from(caSha256, 'hex'), secret, Buffer.from(serverAddressText(server), 'latin1')]);
  const crc = Buffer.alloc(CRC_BYTES);
  crc.writeUInt32BE(crc32(bytes));
  return `${PREFIX}${Buffer.concat([crc, bytes]).toString('base64url')}`;
}

/**
 * Reads a token; white space around it is not part of it.
 * @throws {D4Error} D4_BAD_TOKEN
 */
export function parseEnrollToken(text: string): EnrollToken {
  const body = text.trim();
  if (!body.startsWith('d4e')) throw bad('it does not begin with "d4e"');
  if (!body.startsWith(PREFIX)) throw bad('it is of a form that only a newer client knows');
  const encoded = body.slice(PREFIX.length);
  const bytes = Buffer.from(encoded, 'base64url');
  if (bytes.toString('base64url') !== encoded || bytes.length <= FIXED_BYTES) throw bad(NOT_WHOLE);
  if (bytes.length > FIXED_BYTES + MAX_ADDRESS_BYTES) throw bad('something was added to it');
  if (crc32(bytes.subarray(CRC_BYTES)) !== bytes.readUInt32BE(0)) throw bad(NOT_WHOLE);
  const address = bytes.toString('latin1', FIXED_BYTES);
  const server = serverAddressFrom(address);
  if (server === undefined || serverAddressText(server) !== address) throw bad('it names no server');
  return {
    server,
    caSha256: bytes.toString('hex', CRC_BYTES, CRC_BYTES + SHA256_BYTES),
    secret: Buffer.from(bytes.subarray(CRC_BYTES + SHA256_BYTES, FIXED_BYTES)),
  };
}

const NOT_WHOLE = 'it is not whole, or has been changed, or something was added to it';

function bad(why: string): D4Error {
  return new D4Error('D4_BAD_TOKEN', `this is no enrolment token: ${why}; copy the whole of it, or ask for another`);
}
