import type { Config } from './config/schema.ts';

/** What a running server says of itself to its HTTP interface. */
export interface ServerFacts {
  /** The program's version. */
  readonly version: string;
  /** ms since 1970 */
  readonly startedAt: number;
  readonly config: Config;
  /** SHA-256 of the server's certificate (DER), lower-case hexadecimal. */
  readonly certificateSha256: string;
  /** The certificate to pin: the CA's, or what stands for it; PEM. */
  readonly ca: string;
  /** Whether a token is the local administrator's, compared in constant time. Its actor is named `local`. */
  isLocalToken(token: string): boolean;
  /** Whether all three sockets listen and `server.json` (and, at the first start, `DEFAULT_PASSWORD`) is written. */
  isReady(): boolean;
  /** The addresses in use, the ports those that the sockets really have; undefined before they listen. */
  addresses(): { readonly listen: string; readonly web: string; readonly redis: string } | undefined;
}
