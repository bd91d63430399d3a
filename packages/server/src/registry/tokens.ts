import { hash, randomBytes } from 'node:crypto';

/** The length of an API key that the ecosystem's scripts expect (docs/drop-in.md). */
const TOKEN_LENGTH = 41;

/** A new API key: 41 random characters of `[A-Za-z0-9_-]`, 246 bits. */
export function newToken(): string {
  return randomBytes(TOKEN_LENGTH).toString('base64url').slice(0, TOKEN_LENGTH);
}

/** The key under which the registry keeps a token: its SHA-256, hexadecimal. */
export function tokenHash(token: string): string {
  return hash('sha256', token, 'hex');
}
