import type { SettingReport } from './config/describe.ts';
import type { Config } from './config/schema.ts';

/** What of the data is in a backup, beside registry, keys, certificates and configuration. */
export const BACKUP_DATA = ['none', 'archive', 'journal', 'all'] as const;
export type BackupData = (typeof BACKUP_DATA)[number];

/** What both TLS ports show. Times are ms since 1970. */
export interface CertificateFacts {
  /** Distinguished names, one part on each line. */
  readonly subject: string;
  readonly issuer: string;
  /** Names and addresses that it is for. */
  readonly names: readonly string[];
  readonly notBefore: number;
  readonly notAfter: number;
  /** SHA-256 of the certificate (DER), lower-case hexadecimal. */
  readonly sha256: string;
  /** Whether the server's own CA has issued it, and so renews it by itself. */
  readonly isOwn: boolean;
  /** What sensors pin: PEM, the SHA-256 of it, and its end. */
  readonly authority: { readonly pem: string; readonly sha256: string; readonly notAfter: number };
}

/** The certificate of the running server, and how to replace it while connections go on with the old one. */
export interface CertificateControl {
  facts(): CertificateFacts;
  /** The key and the certificates that are shown, PEM. */
  readonly identity: { readonly key: string; readonly cert: string };
  /**
   * @param pem private key, certificate, and what signed it
   * @param allowOtherAuthority also where what sensors have pinned did not sign it, so that they refuse it
   * @throws {D4Error} D4_IDENTITY, D4_OTHER_AUTHORITY
   */
  replace(pem: string, allowOtherAuthority: boolean): CertificateFacts;
  /** Issues one by the server's own CA. @throws {D4Error} D4_IDENTITY */
  renew(): Promise<CertificateFacts>;
}

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
  /** The settings that hold, in words; secrets are masked. */
  settings(): readonly SettingReport[];
  /** Whether a token is the local administrator's, compared in constant time. Its actor is named `local`. */
  isLocalToken(token: string): boolean;
  /** Whether all three sockets listen and `server.json` (and, at the first start, `DEFAULT_PASSWORD`) is written. */
  isReady(): boolean;
  /** The addresses in use, the ports those that the sockets really have; undefined before they listen. */
  addresses(): { readonly listen: string; readonly web: string; readonly redis: string } | undefined;
  /** What was damaged and is set aside in the home's folder for it, by name. */
  damagedFiles(): readonly string[];
}
