import { X509Certificate } from 'node:crypto';
import { D4Error } from '@d4ts/protocol';
import type { Logger } from 'pino';
import type { CertificateControl, CertificateFacts } from '../server-facts.ts';
import type { HomePaths } from './home.ts';
import { isOwn, RENEW_BEFORE, renewIdentity, replaceIdentity, type TlsIdentity } from './identity.ts';

const CHECK_MS = 12 * 60 * 60_000;

/** The certificate of the running server: replaced live, and renewed before it ends where it is our own. */
export class ServerCertificate implements CertificateControl {
  readonly #paths: HomePaths;
  readonly #log: Logger;
  readonly #timer: NodeJS.Timeout;
  #identity: TlsIdentity;
  #apply: ((identity: TlsIdentity) => void) | undefined;

  constructor(paths: HomePaths, identity: TlsIdentity, log: Logger) {
    this.#paths = paths;
    this.#identity = identity;
    this.#log = log;
    this.#timer = setInterval(() => void this.renewIfDue(Date.now()), CHECK_MS).unref();
  }

  get identity(): TlsIdentity {
    return this.#identity;
  }

  /** Says who shows the certificate. */
  onChange(apply: (identity: TlsIdentity) => void): void {
    this.#apply = apply;
  }

  facts(): CertificateFacts {
    const { cert, ca, certificateSha256 } = this.#identity;
    const certificate = new X509Certificate(cert);
    const authority = new X509Certificate(ca);
    return {
      subject: certificate.subject,
      issuer: certificate.issuer,
      names: (certificate.subjectAltName ?? '').split(', ').filter((name) => name !== ''),
      notBefore: certificate.validFromDate.getTime(),
      notAfter: certificate.validToDate.getTime(),
      sha256: certificateSha256,
      isOwn: isOwn(certificate, this.#paths),
      authority: { pem: ca, sha256: sha256Of(authority), notAfter: authority.validToDate.getTime() },
    };
  }

  replace(pem: string, allowOtherAuthority: boolean): CertificateFacts {
    const leavesAuthority = !chainOf(pem).some((each) => this.#isTrusted(each));
    if (leavesAuthority && !allowOtherAuthority) {
      throw new D4Error(
        'D4_OTHER_AUTHORITY',
        `the certificate was not signed by what sensors have pinned (SHA-256 ${this.facts().authority.sha256}): those that check it would refuse the server. If that is meant, allow another authority`,
      );
    }
    this.#change(replaceIdentity(this.#paths, pem, leavesAuthority));
    return this.facts();
  }

  async renew(): Promise<CertificateFacts> {
    this.#change(await renewIdentity(this.#paths, this.#log, Date.now()));
    return this.facts();
  }

  /** Renews a certificate of our own before it ends. @param now ms since 1970 */
  async renewIfDue(now: number): Promise<void> {
    const certificate = new X509Certificate(this.#identity.cert);
    if (certificate.validToDate.getTime() - now >= RENEW_BEFORE || !isOwn(certificate, this.#paths)) return;
    try {
      await this.renew();
    } catch (error) {
      this.#log.error({ err: error }, "the server's certificate ends soon and cannot be renewed");
    }
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #isTrusted(certificate: X509Certificate): boolean {
    const authority = new X509Certificate(this.#identity.ca);
    if (sha256Of(certificate) === sha256Of(authority)) return true;
    return certificate.checkIssued(authority) && certificate.verify(authority.publicKey);
  }

  #change(identity: TlsIdentity): void {
    this.#identity = identity;
    this.#apply?.(identity);
    this.#log.info({ sha256: identity.certificateSha256 }, "the server's certificate was replaced");
  }
}

/** The certificates of a PEM text; what is none is told later. */
function chainOf(pem: string): X509Certificate[] {
  return (pem.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? []).flatMap((text) => {
    try {
      return [new X509Certificate(text)];
    } catch {
      return [];
    }
  });
}

function sha256Of(certificate: X509Certificate): string {
  return certificate.fingerprint256.replaceAll(':', '').toLowerCase();
}
