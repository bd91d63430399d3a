import { createServer as createNetServer, type Server as NetServer, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { createServer as createTlsServer, type TLSSocket, type Server as TlsServer } from 'node:tls';
import { ACK_ALPN, D4Error, ENROLL_ALPN, type SensorId } from '@d4ts/protocol';
import { addressGroup, plainAddress } from './address.ts';
import { Connection, type Peer, type Protocol } from './connection.ts';
import { EnrollConnection } from './enroll/enroll-connection.ts';
import { EnrollDesk } from './enroll/enroll-desk.ts';
import { ConnectionHub, type Evictable, type HubOptions } from './hub.ts';
import type { Ingest, ListenerIdentity, SessionInfo } from './port.ts';

/** How to listen for sensors. */
export interface IngestOptions extends HubOptions {
  /** Port 0 takes a free one. */
  readonly listen: { readonly host: string; readonly port: number };
  readonly identity: ListenerIdentity;
}

const MIN_TLS_VERSION = 'TLSv1.2';
const BACKLOG = 4096;
/** While stopping: how long a connection has to be silent, or to have been read, for what had arrived to be in. */
const QUIET_MS = 50;
const BUSY_MS = 1_000;
const POLL_MS = 10;
/** While stopping: for the journal at the least, and for the peers to close in turn. */
const COMMIT_MS = 1_000;
const GOODBYE_MS = 500;

/** What is spoken after a handshake, by the name that it settled on (ALPN); where there is none, v1. */
const PROTOCOLS: Readonly<Record<string, Protocol | 'enrolment'>> = {
  [ACK_ALPN]: 'acknowledged',
  [ENROLL_ALPN]: 'enrolment',
};

/**
 * Listens for sensors.
 * @throws {D4Error} D4_LISTEN, with the system's error as its cause
 */
export async function startIngest(options: IngestOptions): Promise<Ingest> {
  const listener = new Listener(options);
  try {
    await listener.listen(options.listen);
  } catch (error) {
    await listener.close();
    throw error;
  }
  return listener;
}

/** A TCP connection whose TLS handshake is under way. */
interface Handshake extends Evictable {
  readonly peer: Peer;
  readonly socket: Socket;
}

class Listener implements Ingest {
  readonly #hub: ConnectionHub;
  /** Accepts; so that a blocked address costs no handshake, and every handshake is known. */
  readonly #net: NetServer;
  readonly #tls: TlsServer;
  /** By address and port of the peer. */
  readonly #handshakes = new Map<string, Handshake>();
  /** Where sensors enrol, and who is doing it now. */
  readonly #desk: EnrollDesk;
  readonly #enrolling = new Set<EnrollConnection>();
  #ca: string;
  #address = { host: '', port: 0 };
  #closed: Promise<void> | undefined;

  constructor(options: IngestOptions) {
    this.#hub = new ConnectionHub(options);
    this.#desk = new EnrollDesk(options.registry, options.log);
    const { ca, ...identity } = options.identity;
    this.#ca = ca;
    // Half-open, so that the server's end can wait until everything is committed.
    this.#net = createNetServer({ allowHalfOpen: true }, (socket) => this.#accept(socket));
    this.#tls = createTlsServer({
      ...identity,
      minVersion: MIN_TLS_VERSION,
      handshakeTimeout: options.limits.handshakeTimeoutMs,
      // A client that offers no name never comes here; one that offers only names that are not ours is refused.
      ALPNCallback: ({ protocols }) => protocols.find((name) => Object.hasOwn(PROTOCOLS, name)),
    });
    this.#tls.on('secureConnection', (socket) => this.#secured(socket));
    this.#tls.on('tlsClientError', (error, socket) => this.#handshakeFailed(error, socket));
  }

  async listen({ host, port }: { host: string; port: number }): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#net.once('error', reject);
    this.#net.listen({ host, port, backlog: BACKLOG }, resolve);
    try {
      await promise;
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new D4Error('D4_LISTEN', `cannot listen for sensors on ${host}, port ${port}: ${why}`, error);
    }
    this.#net.off('error', reject);
    this.#net.on('error', (error) => this.#hub.log.error({ err: error }, "the sensors' port cannot accept"));
    const address = this.#net.address();
    if (typeof address === 'object' && address !== null) this.#address = { host: address.address, port: address.port };
  }

  get address(): { host: string; port: number } {
    return this.#address;
  }

  get connections(): number {
    return this.#hub.connections.size;
  }

  sessions(): SessionInfo[] {
    return this.#hub.sessions();
  }

  suspectedClones(): SensorId[] {
    return this.#hub.suspectedClones();
  }

  backPressure(): { paused: number; pauses: number } {
    return this.#hub.backPressure();
  }

  kick(sensor: SensorId): number {
    return this.#hub.kick(sensor);
  }

  hold(reason: string | undefined): void {
    this.#hub.hold(reason);
  }

  expel(sensor: SensorId): Promise<void> {
    return this.#hub.expel(sensor);
  }

  setIdentity({ key, cert, ca }: ListenerIdentity): void {
    this.#ca = ca;
    this.#tls.setSecureContext({ key, cert, minVersion: MIN_TLS_VERSION });
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  #accept(socket: Socket): void {
    const peer = peerOf(socket);
    if (peer === undefined) {
      socket.destroy();
      return;
    }
    const code = this.#hub.refusesToMeet(peer);
    if (code !== undefined) {
      this.#hub.refused(peer, { code, sensor: undefined, verified: false, type: undefined });
      socket.destroy();
      return;
    }
    socket.setKeepAlive(true, this.#hub.limits.keepAliveMs);
    const handshake: Handshake = {
      peer,
      socket,
      group: peer.group,
      pendingBytes: 0,
      evict: () => {
        this.#refuseHandshake(handshake, 'too-many-connections');
        socket.destroy();
      },
    };
    this.#handshakes.set(peerKey(peer), handshake);
    this.#hub.admit(handshake);
    socket.on('error', (error) => this.#hub.log.debug({ err: error, address: peer.address }, 'connection lost'));
    socket.on('close', () => this.#refuseHandshake(handshake, 'failed-handshake', 'closed by the peer'));
    this.#tls.emit('connection', socket);
  }

  #secured(socket: TLSSocket): void {
    const handshake = this.#take(socket);
    if (handshake === undefined || this.#closed !== undefined) {
      socket.destroy();
      return;
    }
    this.#hub.dismiss(handshake);
    const protocol = PROTOCOLS[socket.alpnProtocol || ''] ?? 'v1';
    if (protocol === 'enrolment') this.#enroll(socket, handshake.peer);
    else this.#hub.add(new Connection(socket, handshake.peer, this.#hub, protocol));
  }

  #enroll(socket: TLSSocket, peer: Peer): void {
    const connection = new EnrollConnection(socket, peer, { hub: this.#hub, desk: this.#desk, ca: this.#ca });
    this.#enrolling.add(connection);
    void connection.gone.then(() => this.#enrolling.delete(connection));
  }

  #handshakeFailed(error: Error, socket: TLSSocket): void {
    const handshake = this.#find(socket);
    const code = 'code' in error ? String(error.code) : error.message;
    const foreign = code === 'ERR_SSL_NO_APPLICATION_PROTOCOL';
    if (handshake !== undefined) this.#refuseHandshake(handshake, foreign ? 'foreign-alpn' : 'failed-handshake', code);
    socket.destroy();
  }

  /** Does nothing where the handshake is over already. */
  #refuseHandshake(
    handshake: Handshake,
    code: 'too-many-connections' | 'failed-handshake' | 'foreign-alpn',
    detail?: string,
  ): void {
    const key = peerKey(handshake.peer);
    if (this.#handshakes.get(key) !== handshake) return;
    this.#handshakes.delete(key);
    this.#hub.dismiss(handshake);
    if (this.#closed !== undefined) return;
    this.#hub.refused(handshake.peer, { code, sensor: undefined, verified: false, type: undefined }, detail);
  }

  #find(socket: Socket): Handshake | undefined {
    const peer = peerOf(socket);
    return peer === undefined ? undefined : this.#handshakes.get(peerKey(peer));
  }

  #take(socket: Socket): Handshake | undefined {
    const handshake = this.#find(socket);
    if (handshake !== undefined) this.#handshakes.delete(peerKey(handshake.peer));
    return handshake;
  }

  /** Stops accepting; lets every connection be read until what had arrived is in; commits; closes. */
  async #close(): Promise<void> {
    const hub = this.#hub;
    const since = hub.now();
    const deadline = since + hub.limits.drainTimeoutMs;
    const stopped = new Promise<void>((resolve) => this.#net.close(() => resolve()));
    for (const { socket } of this.#handshakes.values()) socket.destroy();
    for (const connection of this.#enrolling) connection.finish();
    hub.liftBounds();
    const connections = [...hub.connections];
    for (let open = connections; open.length > 0 && hub.now() < deadline; await delay(POLL_MS)) {
      for (const connection of open) if (connection.isDrained(since, QUIET_MS, BUSY_MS)) connection.finish();
      open = open.filter((connection) => !connection.isDrained(since, QUIET_MS, BUSY_MS));
    }
    for (const connection of connections) connection.finish();
    const committed = Promise.all(connections.map((connection) => connection.committed));
    if (!(await isDoneWithin(committed, Math.max(deadline - hub.now(), COMMIT_MS)))) {
      hub.log.error('the server stops while the journal has not taken everything: what it has not is lost');
    }
    const leaving = [...connections, ...this.#enrolling];
    const gone = Promise.all(leaving.map((connection) => connection.gone));
    if (!(await isDoneWithin(gone, GOODBYE_MS))) {
      for (const connection of [...hub.connections, ...this.#enrolling]) connection.destroy();
    }
    hub.stop();
    await stopped;
  }
}

async function isDoneWithin(work: Promise<unknown>, ms: number): Promise<boolean> {
  const timeUp = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => timeUp.resolve(false), ms);
  const done = await Promise.race([work.then(() => true), timeUp.promise]);
  clearTimeout(timer);
  return done;
}

function peerOf(socket: Socket): Peer | undefined {
  const { remoteAddress, remotePort } = socket;
  if (remoteAddress === undefined || remotePort === undefined) return undefined;
  const address = plainAddress(remoteAddress);
  return { address, port: remotePort, group: addressGroup(address) };
}

function peerKey(peer: Peer): string {
  return `${peer.address} ${peer.port}`;
}
