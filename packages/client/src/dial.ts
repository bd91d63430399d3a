import { once } from 'node:events';
import net from 'node:net';
import tls from 'node:tls';
import { D4Error } from '@d4ts/protocol';
import { SocksClient } from 'socks';
import type { ServerAddress } from './destination.ts';
import { type Trust, tlsOptions, verifyPin } from './trust.ts';

/** How to reach a server. */
export interface Route {
  readonly server: ServerAddress;
  /** How TLS is checked; undefined is plain TCP. */
  readonly trust: Trust | undefined;
  /** Through this SOCKS5 proxy, which also resolves names. */
  readonly proxy?: { readonly host: string; readonly port: number };
  /** ms; 0 turns it off. */
  readonly keepAliveMs: number;
  /** ms for TCP, SOCKS and TLS together; 0 is no limit. */
  readonly timeoutMs: number;
  /** What to offer in the TLS handshake (ALPN); nothing, where it is not said. */
  readonly alpn?: string | undefined;
}

/**
 * Connects, until data can be sent.
 * @throws {D4Error} D4_TIMEOUT, D4_PIN; or the error of the network, of TLS or of the proxy
 */
export async function dial(route: Route, signal: AbortSignal): Promise<net.Socket> {
  const limit = route.timeoutMs > 0 ? AbortSignal.timeout(route.timeoutMs) : undefined;
  const either = limit === undefined ? signal : AbortSignal.any([signal, limit]);
  try {
    return await connect(route, either);
  } catch (cause) {
    if (limit?.aborted !== true || signal.aborted) throw cause;
    throw new D4Error('D4_TIMEOUT', `no connection within ${route.timeoutMs / 1000} s`, cause);
  }
}

async function connect(route: Route, signal: AbortSignal): Promise<net.Socket> {
  const socket =
    route.proxy === undefined ? await direct(route, signal) : await throughProxy(route, route.proxy, signal);
  socket.setNoDelay(true);
  socket.setKeepAlive(route.keepAliveMs > 0, route.keepAliveMs);
  if (route.trust === undefined) return socket;
  return await secure(socket, route.trust, route, signal);
}

async function direct(route: Route, signal: AbortSignal): Promise<net.Socket> {
  const socket = net.connect({ host: route.server.host, port: route.server.port });
  await ready(socket, 'connect', signal);
  return socket;
}

async function throughProxy(
  route: Route,
  proxy: { readonly host: string; readonly port: number },
  signal: AbortSignal,
): Promise<net.Socket> {
  const existing = net.connect(proxy);
  try {
    await ready(existing, 'connect', signal);
  } catch (cause) {
    const where = `${proxy.host}:${proxy.port}`;
    throw new D4Error('D4_PROXY', `the SOCKS5 proxy at ${where}: ${(cause as Error).message}`, cause);
  }
  const abort = () => existing.destroy(new Error('aborted'));
  signal.addEventListener('abort', abort, { once: true });
  try {
    const { host, port } = route.server;
    const established = await SocksClient.createConnection({
      proxy: { ...proxy, type: 5 },
      command: 'connect',
      destination: { host, port },
      existing_socket: existing,
      // The limit for the whole of connecting holds; this one must not be shorter.
      timeout: 2_147_483_647,
    });
    return established.socket;
  } catch (cause) {
    existing.destroy();
    throw new D4Error('D4_PROXY', `the SOCKS5 proxy: ${(cause as Error).message}`, cause);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

async function secure(
  socket: net.Socket,
  trust: Trust,
  { server, alpn }: Route,
  signal: AbortSignal,
): Promise<net.Socket> {
  const offer = alpn === undefined ? {} : { ALPNProtocols: [alpn] };
  const secured = tls.connect({ ...tlsOptions(trust, server), ...offer, socket });
  await ready(secured, 'secureConnect', signal);
  try {
    if (trust.kind === 'pin') verifyPin(secured, trust.sha256, server);
  } catch (cause) {
    secured.destroy();
    throw cause;
  }
  return secured;
}

/** Waits for an event; the socket is destroyed where it does not come. */
async function ready(socket: net.Socket, event: string, signal: AbortSignal): Promise<void> {
  // Also when nobody looks at the socket, between the steps of connecting, an error must not end the process.
  socket.on('error', () => {});
  const closed = new AbortController();
  const onClose = () => closed.abort(new D4Error('D4_CLOSED', 'the server closed the connection while connecting'));
  socket.once('close', onClose);
  try {
    await once(socket, event, { signal: AbortSignal.any([signal, closed.signal]) });
  } catch (cause) {
    socket.destroy();
    throw closed.signal.aborted && !signal.aborted && (cause as Error).name === 'AbortError'
      ? closed.signal.reason
      : cause;
  } finally {
    socket.removeListener('close', onClose);
  }
}

/** Whether the server has agreed to what was offered on this connection. */
export function agreedOn(socket: net.Socket, alpn: string): boolean {
  return socket instanceof tls.TLSSocket && socket.alpnProtocol === alpn;
}

/** Whether a server failed the handshake because it knows other protocols (ALPN) than the one that was offered. */
export function refusesAlpn(cause: unknown): boolean {
  return (cause as NodeJS.ErrnoException).code === 'ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL';
}
