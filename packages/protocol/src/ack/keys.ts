import { hkdfSync } from 'node:crypto';
import { type AckChallenge, challengeBody } from './messages.ts';

const KEY_BYTES = 32;
const LABEL_CLIENT = 'd4-ack/1 client';
const LABEL_SERVER = 'd4-ack/1 server';

/** The keys of one connection, one for what each side sends. */
export interface AckKeys {
  readonly client: Buffer;
  readonly server: Buffer;
}

/**
 * HKDF-SHA-256 (RFC 5869) of the sensor's key; salt: the body of CHALLENGE, then the client's nonce; info: a label for
 * each direction.
 * @param sensorKey the whole key, as it is registered
 */
export function deriveAckKeys(sensorKey: Buffer, challenge: AckChallenge, clientNonce: Buffer): AckKeys {
  const salt = Buffer.concat([challengeBody(challenge), clientNonce]);
  const derive = (label: string) => Buffer.from(hkdfSync('sha256', sensorKey, salt, label, KEY_BYTES));
  return { client: derive(LABEL_CLIENT), server: derive(LABEL_SERVER) };
}
