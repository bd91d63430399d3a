import { HmacScratch, REFUSALS, type RefusalCode, type SensorId } from '@d4ts/protocol';
import type { Logger } from 'pino';
import type { Format } from '../formats/port.ts';
import type { Journal } from '../journal/port.ts';
import type { Activity, Registry } from '../registry/port.ts';
import { BlockedNetworks } from './address.ts';
import { Admission, type Refusal } from './admission.ts';
import { BackPressure } from './back-pressure.ts';
import type { Connection, OpenStream, Peer } from './connection.ts';
import { Enrolment } from './enrolment.ts';
import type { IngestLimits } from './limits.ts';
import type { SessionInfo } from './port.ts';
import type { Session, StreamStart } from './session.ts';
import { SessionTable } from './session-table.ts';
import { StreamEndings } from './stream-endings.ts';
import { StreamWriter } from './stream-writer.ts';
import { type UnprovedMember, UnprovedPool } from './unproved-pool.ts';

/** Connections that the server has closed and that may wait for the peer to close too; beyond, the oldest is cut. */
const MAX_LEAVING = 1_000;

/** What the connections need of the rest of the server. */
export interface HubOptions {
  readonly mode: 'registration' | 'shared-secret';
  /** latin1 text of the key's bytes; used in shared-secret mode. */
  readonly defaultKey: string | undefined;
  readonly limits: IngestLimits;
  readonly registry: Registry;
  readonly journal: Journal;
  readonly formats: (topic: string) => Format;
  readonly log: Logger;
}

/** A connection or handshake that can be told to make room. */
export interface Evictable extends UnprovedMember {
  evict(): void;
}

/** All connections together: who is there, what they share, and what the registry's changes mean for them. */
export class ConnectionHub {
  readonly admission: Admission;
  readonly limits: IngestLimits;
  readonly log: Logger;
  readonly activity: Activity;
  readonly networks: BlockedNetworks;
  readonly connections = new Set<Connection>();
  readonly #leaving = new Set<Connection>();
  readonly #options: HubOptions;
  readonly #enrolment: Enrolment | undefined;
  readonly #pool: UnprovedPool<Evictable>;
  readonly #table: SessionTable<Session>;
  readonly #endings = new StreamEndings();
  readonly #pressure: BackPressure;
  readonly #unwatch: (() => void)[];
  readonly #ticking: NodeJS.Timeout;
  #suspects = new Set<SensorId>();
  #pauses = 0;

  constructor(options: HubOptions) {
    const { registry, limits, log, mode, defaultKey } = options;
    this.#options = options;
    this.limits = limits;
    this.log = log;
    this.activity = registry.activity;
    this.networks = new BlockedNetworks(registry.blocks);
    this.#pool = new UnprovedPool(limits);
    this.#table = new SessionTable(limits.sessionsSideBySide);
    this.#pressure = new BackPressure(limits.pendingBytes, log, () => this.#updateHolds());
    if (mode === 'shared-secret' && defaultKey !== undefined) {
      this.#enrolment = new Enrolment(registry.sensors, defaultKey, limits, log);
    }
    const facts = {
      sensor: (id: SensorId) => registry.sensors.get(id)?.value,
      isBlocked: (id: SensorId) => registry.blocks.get(id) !== undefined,
      accepts: (topic: string) => registry.types.get(topic) !== undefined,
    };
    const { maxPayloadBytes } = limits;
    this.admission = new Admission(facts, { mode, defaultKey, maxPayloadBytes, scratch: new HmacScratch() });
    this.#unwatch = [
      registry.sensors.watch(({ key, after }) => this.#sensorChanged(key, after === undefined)),
      registry.types.watch(({ after }) => {
        if (after === undefined) for (const { session } of this.connections) session.reconsider();
      }),
      registry.blocks.watch(() => this.#blocksChanged()),
    ];
    const shortest = Math.min(limits.headerTimeoutMs, limits.payloadTimeoutMs, limits.closeTimeoutMs);
    this.#ticking = setInterval(() => this.#tick(), Math.min(1_000, Math.max(10, shortest / 4)));
  }

  /** Monotonic, ms. */
  now(): number {
    return performance.now();
  }

  get holdsAll(): boolean {
    return this.#pressure.holdsAll;
  }

  backPressure(): { paused: number; pauses: number } {
    let paused = 0;
    for (const connection of this.connections) if (connection.held) paused += 1;
    return { paused, pauses: this.#pauses };
  }

  countPause(): void {
    this.#pauses += 1;
  }

  sessions(): SessionInfo[] {
    const now = this.now();
    return [...this.connections].map((connection) => connection.info(now)).filter((info) => info !== undefined);
  }

  suspectedClones(): SensorId[] {
    return this.#table.suspectedClones(this.now());
  }

  kick(sensor: SensorId): number {
    const kicked = [...this.connections].filter(({ session }) => session.isProved && session.sensor === sensor);
    for (const connection of kicked) connection.kick();
    if (kicked.length > 0)
      this.log.info({ sensor, connections: kicked.length }, 'the connections of a sensor were closed');
    return kicked.length;
  }

  // Connections that have not proved anything.

  /** A handshake has begun or a connection is there: perhaps another one has to go. */
  admit(member: Evictable): void {
    this.#pool.add(member)?.evict();
  }

  touch(member: Evictable): void {
    this.#pool.touch(member)?.evict();
  }

  dismiss(member: Evictable): void {
    this.#pool.remove(member);
  }

  add(connection: Connection): void {
    this.connections.add(connection);
    this.admit(connection);
    connection.updateHold();
  }

  // What a connection reports.

  enrol(sensor: SensorId, address: string): boolean {
    return this.#enrolment?.enrol(sensor, address, this.now()) ?? false;
  }

  proved(connection: Connection): void {
    this.#pool.remove(connection);
    this.log.info({ sensor: connection.session.sensor, ...peerFields(connection.peer) }, 'a sensor is connected');
  }

  refused(peer: Peer, refusal: Refusal, detail?: string): void {
    const { code, sensor, verified, type } = refusal;
    const { address } = peer;
    const at = Date.now();
    this.activity.refused({ code, address, sensor, verified, at });
    if (code === 'not-registered' && sensor !== undefined && type !== undefined) {
      this.activity.knocked({ uuid: sensor, address, type, at });
    }
    this.log.warn({ code, sensor, verified, type, detail, ...peerFields(peer) }, REFUSALS[code]);
  }

  /** Opens the stream of a session; the least recent of too many side by side is closed, which may be this one. */
  openStream(connection: Connection, start: StreamStart): OpenStream | RefusalCode {
    const { session } = connection;
    const { sensor, topic } = start;
    const entry = { sensor, topic, session, openedAt: session.lastFrameAt };
    const surplus = this.#table.add(entry);
    if (surplus === session) return 'too-many-sessions';
    surplus?.close('too-many-sessions');
    const writer = new StreamWriter(start, {
      journal: this.#options.journal,
      format: this.#options.formats(topic),
      pressure: this.#pressure,
      log: this.log,
      after: this.#endings.unfinished(sensor, topic),
      continues: () => this.#endings.takeBreak(sensor, topic),
      onCommitted: () => connection.updateHold(),
      onBroken: () => connection.kick(),
    });
    return { start, writer, entry };
  }

  /** Ends a session's stream; doing it again does nothing. */
  endStream({ start, writer, entry }: OpenStream): void {
    this.#table.remove(entry);
    if (writer.isEnded) return;
    const brokenOff = writer.end();
    const { sensor, topic } = start;
    if (writer.hasData) this.#endings.noteBreak(sensor, topic, brokenOff);
    this.#endings.ended(sensor, topic, writer.finished);
  }

  /** Our side of a connection is closed, the peer's is not. */
  leaving(connection: Connection): void {
    this.#pool.remove(connection);
    this.#leaving.add(connection);
    const [oldest] = this.#leaving;
    if (oldest === undefined || this.#leaving.size <= MAX_LEAVING) return;
    this.#leaving.delete(oldest);
    oldest.destroy();
  }

  gone(connection: Connection): void {
    this.#pool.remove(connection);
    this.#leaving.delete(connection);
    this.connections.delete(connection);
  }

  /** Stops what runs by itself. */
  stop(): void {
    for (const unwatch of this.#unwatch) unwatch();
    clearInterval(this.#ticking);
    this.#pressure.stop();
  }

  #sensorChanged(id: string, removed: boolean): void {
    for (const { session } of this.connections) if (session.sensor === id) session.reconsider();
    if (removed) this.#endings.forget(id as SensorId);
  }

  #blocksChanged(): void {
    this.networks.refresh();
    for (const { session, peer } of this.connections) {
      if (this.networks.holds(peer.address)) session.close('blocked-address');
      else session.reconsider();
    }
  }

  #updateHolds(): void {
    for (const connection of this.connections) connection.updateHold();
  }

  #tick(): void {
    const now = this.now();
    for (const connection of this.connections) connection.tick(now);
    const suspects = new Set(this.#table.suspectedClones(now));
    for (const sensor of suspects) {
      if (!this.#suspects.has(sensor)) this.log.warn({ sensor }, 'cloned? two sessions of one type are both active');
    }
    this.#suspects = suspects;
  }
}

function peerFields({ address, port }: Peer): { address: string; port: number } {
  return { address, port };
}
