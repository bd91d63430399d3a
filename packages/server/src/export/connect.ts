import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { readAuthorities } from './ordinary-file.ts';

/** How a server's certificate is checked. */
export interface CertificateCheck {
  /** False takes any certificate; checked if not given. */
  readonly verify?: boolean;
  /** A file with the authorities to trust (PEM), in place of those that the system trusts. */
  readonly ca?: string;
}

/** Where a stream of bytes goes. */
export type StreamAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number; readonly keepAlive?: number }
  | ({
      readonly kind: 'tls';
      readonly host: string;
      readonly port: number;
      readonly keepAlive?: number;
      /** A protocol that is offered in the handshake. */
      readonly alpn?: string;
    } & CertificateCheck)
  | { readonly kind: 'unix'; readonly path: string };

const CONNECT_MS = 10_000;
/** Seconds of silence after which TCP asks whether the other side is there: the reference exporters' value. */
const DEFAULT_KEEP_ALIVE_S = 15;

/** `HOST:PORT`, with brackets around an IPv6 address. */
export function hostPort({ host, port }: { readonly host: string; readonly port: number }): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** The address in words. */
export function streamAddressText(address: StreamAddress): string {
  return address.kind === 'unix' ? address.path : hostPort(address);
}

/**
 * Connects, until bytes can be sent: over TLS until the certificate is found good.
 * @throws the error of the network or of TLS; {D4Error} D4_EXPORT_CA where the authorities cannot be read
 */
export async function connectStream(address: StreamAddress, signal: AbortSignal): Promise<Socket> {
  const socket = await open(address);
  const ready = address.kind === 'tls' ? 'secureConnect' : 'connect';
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onAbort = () => reject(new Error('stopped'));
  const timer = setTimeout(() => reject(new Error(`no connection within ${CONNECT_MS / 1000} s`)), CONNECT_MS);
  // Also later an error must not end the process.
  socket.on('error', reject);
  socket.once('close', () => reject(new Error('the other side closed the connection')));
  socket.once(ready, () => resolve());
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    await promise;
    if (address.kind !== 'unix') {
      const seconds = address.keepAlive ?? DEFAULT_KEEP_ALIVE_S;
      socket.setNoDelay(true);
      socket.setKeepAlive(seconds > 0, seconds * 1000);
    }
    return socket;
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  }
}

async function open(address: StreamAddress): Promise<Socket> {
  // Only so can it be seen that a receiver has closed its side while we still hold something for it.
  const halfOpen = { allowHalfOpen: true };
  if (address.kind === 'unix') return connectTcp({ path: address.path, ...halfOpen });
  const { host, port } = address;
  if (address.kind === 'tcp') return connectTcp({ host, port, ...halfOpen });
  const { alpn } = address;
  const check = await tlsCheck(address, host);
  return connectTls({ host, port, ...check, ...(alpn !== undefined && { ALPNProtocols: [alpn] }) });
}

/** Options of `tls.connect` and of HTTPS requests. @throws {D4Error} D4_EXPORT_CA */
export async function tlsCheck({ verify = true, ca }: CertificateCheck, host: string) {
  return {
    minVersion: 'TLSv1.2' as const,
    rejectUnauthorized: verify,
    // A server name must not be an IP address (RFC 6066, section 3).
    ...(isIP(host) === 0 && { servername: host }),
    ...(ca !== undefined && { ca: await readAuthorities(ca) }),
  };
}

const CERTIFICATE_CODES: ReadonlySet<string> = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

/** An error of the network in few words. */
export function networkProblem(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return networkProblem(error.errors[0]);
  if (!(error instanceof Error)) return String(error);
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined;
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return `its certificate is not accepted (${error.message}): it is another host's; give a name that stands in it`;
  }
  if (code === 'CERT_HAS_EXPIRED') return 'its certificate is not accepted: it has expired';
  if (code !== undefined && CERTIFICATE_CODES.has(code)) {
    return `its certificate is not accepted (${error.message}): trust its authority (ca)`;
  }
  return error.message !== '' ? error.message : (code ?? error.name);
}
