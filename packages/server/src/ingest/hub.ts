import { type EndCause, HmacScratch, REFUSALS, type RefusalCode, type SensorId, WIRE_TYPE } from '@d4ts/protocol';
import type { Logger } from 'pino';
import type { Format } from '../formats/port.ts';
import type { Journal } from '../journal/port.ts';
import type { Activity, Registry } from '../registry/port.ts';
import { AckStreams } from './ack-streams.ts';
import type { AcknowledgedStream } from './acknowledged-stream.ts';
import { addressGroup, BlockedNetworks } from './address.ts';
import { Admission, type Refusal } from './admission.ts';
import { BackPressure } from './back-pressure.ts';
import type { Connection, OpenStream, Peer } from './connection.ts';
import { EarlierPreambles } from './earlier-preambles.ts';
import { Enrolment } from './enrolment.ts';
import { FailureThrottle } from './failure-throttle.ts';
import type { IngestLimits } from './limits.ts';
import { LogBudget } from './log-budget.ts';
import type { IngestLedger, SessionInfo } from './port.ts';
import { RecordRoom } from './record-room.ts';
import type { SensorSession } from './sensor-session.ts';
import type { SensorShare } from './sensor-share.ts';
import { SensorShares } from './sensor-shares.ts';
import type { StreamStart } from './session.ts';
import { SessionTable, type TableEntry } from './session-table.ts';
import { StreamEndings } from './stream-endings.ts';
import { StreamWriter } from './stream-writer.ts';
import { type UnprovedMember, UnprovedPool } from './unproved-pool.ts';

/** Connections that the server has closed and that may wait for the peer to close too; beyond, the oldest is cut. */
const MAX_LEAVING = 1_000;
/** How often what the log leaves out is summed up, and how often the addresses of live sensors are noted, in ms. */
const SUM_UP_MS = 60_000;
const NOTE_PROVED_MS = 60 * 60_000;

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
  /** Nobody counts where it is not given. */
  readonly ledger?: IngestLedger;
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
  readonly room: RecordRoom<Connection>;
  readonly connections = new Set<Connection>();
  readonly #leaving = new Set<Connection>();
  readonly #options: HubOptions;
  readonly #enrolment: Enrolment | undefined;
  readonly #pool: UnprovedPool<Evictable>;
  readonly #throttle: FailureThrottle;
  readonly #lines = new LogBudget();
  readonly #table: SessionTable<SensorSession>;
  /** Working memory for all MACs. */
  readonly scratch: HmacScratch = new HmacScratch();
  readonly ackStreams: AckStreams;
  readonly #endings = new StreamEndings();
  readonly #preambles: EarlierPreambles;
  readonly #pressure: BackPressure;
  readonly #shares: SensorShares;
  readonly #unwatch: (() => void)[];
  readonly #ticking: NodeJS.Timeout;
  #suspects = new Set<SensorId>();
  #pauses = 0;
  #summedUpAt = performance.now();
  #notedProvedAt = performance.now();

  constructor(options: HubOptions) {
    const { registry, limits, log, mode, defaultKey } = options;
    this.#options = options;
    this.limits = limits;
    this.log = log;
    this.activity = registry.activity;
    this.networks = new BlockedNetworks(registry.blocks);
    this.#pool = new UnprovedPool(limits);
    this.#throttle = new FailureThrottle(limits);
    this.#noteKnownAddresses();
    this.#table = new SessionTable(limits.sessionsSideBySide);
    this.#pressure = new BackPressure(limits.pendingBytes, log, () => this.#updateHolds());
    this.room = new RecordRoom(limits.unfinishedRecordBytes);
    this.#preambles = new EarlierPreambles(registry, log);
    const { journal, formats } = options;
    this.ackStreams = new AckStreams({ journal, ended: registry.endedStreams, formats, log });
    this.#shares = new SensorShares({
      waitingBytes: limits.sensorPendingBytes,
      activity: registry.activity,
      boundsOf: (sensor) => registry.sensors.get(sensor)?.value ?? {},
      now: () => this.now(),
      wall: Date.now,
    });
    if (mode === 'shared-secret' && defaultKey !== undefined) {
      this.#enrolment = new Enrolment(registry.sensors, defaultKey, limits, log);
    }
    const facts = {
      sensor: (id: SensorId) => registry.sensors.get(id)?.value,
      isBlocked: (id: SensorId) => registry.blocks.get(id) !== undefined,
      accepts: (topic: string) => registry.types.get(topic) !== undefined,
    };
    const { maxPayloadBytes } = limits;
    this.admission = new Admission(facts, { mode, defaultKey, maxPayloadBytes, scratch: this.scratch });
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

  /** Reads no sensor for a reason from elsewhere, until that is taken back with undefined. */
  hold(reason: string | undefined): void {
    this.#pressure.hold(reason);
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

  /** Closes the connections of a sensor, whose data are to be erased; resolved when what had come is committed. */
  async expel(sensor: SensorId): Promise<void> {
    const expelled = [...this.connections].filter(({ session }) => session.sensor === sensor);
    for (const connection of expelled) connection.kick();
    await Promise.all(expelled.map((connection) => connection.committed));
    this.#preambles.forget(sensor, Object.keys(this.activity.find(sensor)?.topics ?? {}));
  }

  // Connections that have not proved anything.

  /** Whether a new connection of the peer is to be closed before it costs anything, and for what reason. */
  refusesToMeet(peer: Peer): RefusalCode | undefined {
    if (this.networks.holds(peer.address)) return 'blocked-address';
    return this.#throttle.holdsBack(peer.group, this.now()) ? 'too-many-failures' : undefined;
  }

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

  /** @returns what all connections of the sensor share */
  proved(connection: Connection, sensor: SensorId): SensorShare {
    this.#pool.remove(connection);
    const { peer } = connection;
    const now = this.now();
    this.#throttle.proved(peer.group, now);
    if (this.#lines.take(`connected ${sensor}`, now)) {
      this.log.info({ sensor, ...peerFields(peer) }, 'a sensor is connected');
    }
    return this.#shares.join(sensor, connection);
  }

  refused(peer: Peer, refusal: Refusal, detail?: string): void {
    const { code, sensor, verified, type } = refusal;
    const { address, group } = peer;
    const at = Date.now();
    const now = this.now();
    if (!verified && code !== 'blocked-address' && code !== 'too-many-failures') this.#throttle.failed(group, now);
    this.activity.refused({ code, address, sensor, verified, at });
    if (code === 'not-registered' && sensor !== undefined && type !== undefined) {
      this.activity.knocked({ uuid: sensor, address, type, at });
    }
    if (!this.#lines.take(`${group} ${code}`, now)) return;
    this.log.warn({ code, sensor, verified, type, detail, ...peerFields(peer) }, REFUSALS[code]);
  }

  /** What a peer sent has shown a defect of the server: it costs that peer the connection, and no other. */
  failed(peer: Peer, error: unknown): void {
    if (!this.#lines.take(`${peer.group} failed`, this.now())) return;
    this.log.error({ err: error, ...peerFields(peer) }, 'a connection failed within the server and is closed');
  }

  /** Counts a session whose meta header is on its way with its sensor's others. */
  declare(connection: Connection, sensor: SensorId): TableEntry<SensorSession> | RefusalCode {
    const { session } = connection;
    const entry = { sensor, topic: String(WIRE_TYPE.metaHeader), session, openedAt: session.lastFrameAt };
    return this.#place(entry) ? entry : 'too-many-sessions';
  }

  /** The meta header is there, or will never be. */
  declared(entry: TableEntry<SensorSession>): void {
    this.#table.remove(entry);
  }

  /** Opens the stream of a session; the least recent of too many side by side is closed, which may be this one. */
  openStream(
    connection: Connection,
    start: StreamStart,
    share: SensorShare,
    acknowledged?: AcknowledgedStream,
  ): OpenStream | RefusalCode {
    const { session } = connection;
    const { sensor, topic } = start;
    const entry = { sensor, topic, session, openedAt: session.lastFrameAt };
    if (!this.#place(entry)) return 'too-many-sessions';
    const format = this.#options.formats(topic);
    const writer = new StreamWriter(start, {
      ...(acknowledged === undefined ? {} : { acknowledged }),
      journal: this.#options.journal,
      format,
      pressure: this.#pressure,
      share,
      log: this.log,
      earlier: format.preambleAfter === undefined ? undefined : this.#preambles.of(sensor, topic),
      after: this.#endings.unfinished(sensor, topic),
      continues: () => acknowledged === undefined && this.#endings.takeBreak(sensor, topic),
      onPreamble: (preamble) => this.#preambles.note(sensor, topic, preamble, this.now()),
      mayLog: () => this.#lines.take(`left out ${sensor}`, this.now()),
      onBroken: () => connection.kick(),
    });
    this.#inLedger(start, writer, session);
    return { start, writer, entry };
  }

  /**
   * Ends a session's stream, an acknowledged one only if its client has said so; doing it again does nothing.
   * @param cause that the client has told
   */
  endStream({ start, writer, entry }: OpenStream, cause?: EndCause): void {
    this.#table.remove(entry);
    if (writer.isEnded) return;
    const isOver = cause !== undefined || !writer.isAcknowledged;
    const brokenOff = isOver && writer.end(cause);
    if (!isOver) writer.detach();
    const { sensor, topic } = start;
    const { id: stream, records, cuts, skippedBytes } = writer;
    if (this.#lines.take(`ended ${sensor}`, this.now())) {
      this.log.info({ sensor, topic, stream, records, cuts, skippedBytes }, 'a session has ended');
    }
    if (writer.hasData && !writer.isAcknowledged) this.#endings.noteBreak(sensor, topic, brokenOff);
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

  /** The server stops: what has arrived is read, whatever the sensors' rates and quotas are. */
  liftBounds(): void {
    this.#shares.lift();
  }

  /** Stops what runs by itself. */
  stop(): void {
    for (const unwatch of this.#unwatch) unwatch();
    clearInterval(this.#ticking);
    this.#pressure.stop();
    this.#preambles.stop();
    this.#shares.stop();
    this.#sumUpLines();
  }

  #inLedger({ sensor, topic }: StreamStart, writer: StreamWriter, session: SensorSession): void {
    const { ledger } = this.#options;
    if (ledger === undefined) return;
    ledger.opened(sensor, topic);
    void writer.finished.then(() => {
      const bytes = { came: session.streamBytes, committed: writer.committedBytes };
      const lost = writer.hasData ? 'broken-off' : 'no-record';
      // What is not acknowledged comes again.
      ledger.ended(sensor, topic, bytes, writer.isAcknowledged && !writer.isBroken ? 'sent-again' : lost);
    });
  }

  /** Bytes of a connection that has ended were in no verified frame. */
  unverified(sensor: SensorId | undefined, reason: RefusalCode | undefined, bytes: number): void {
    this.#options.ledger?.unverified(sensor, reason, bytes);
  }

  /** A client still held bytes as not acknowledged that the journal has already. */
  recognised({ sensor, topic }: StreamStart, bytes: number): void {
    if (bytes > 0) this.#options.ledger?.duplicate(sensor, topic, bytes);
  }

  /** @returns whether the session has a place; the least recent of too many side by side is closed for it */
  #place(entry: TableEntry<SensorSession>): boolean {
    const surplus = this.#table.add(entry);
    if (surplus === entry.session) return false;
    surplus?.close('too-many-sessions');
    return true;
  }

  /** Addresses where sensors were seen before the server was started. */
  #noteKnownAddresses(): void {
    const { sensors, activity } = this.#options.registry;
    const startedAt = this.now() - Date.now();
    for (const [, { value }] of sensors.entries()) {
      const seen = activity.find(value.uuid);
      if (seen !== undefined && seen.lastAddress !== '') {
        this.#throttle.proved(addressGroup(seen.lastAddress), startedAt + seen.lastSeen);
      }
    }
  }

  #sumUpLines(): void {
    const heldBack = this.#lines.takeHeldBack();
    if (heldBack !== undefined) this.log.warn(heldBack, 'lines were left out of the log, for there were many alike');
  }

  #sensorChanged(id: string, removed: boolean): void {
    for (const { session } of this.connections) if (session.sensor === id) session.reconsider();
    const sensor = id as SensorId;
    if (!removed) {
      this.#shares.changed(sensor);
      return;
    }
    this.#endings.forget(sensor);
    this.#shares.forget(sensor);
    this.#preambles.forget(sensor, Object.keys(this.activity.find(sensor)?.topics ?? {}));
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
    for (const connection of this.room.blocking) connection.tickBlocking(now);
    this.#shares.tick();
    this.#preambles.tick(now);
    this.ackStreams.tick(Date.now());
    const suspects = new Set(this.#table.suspectedClones(now));
    for (const sensor of suspects) {
      if (!this.#suspects.has(sensor)) this.log.warn({ sensor }, 'cloned? two sessions of one type are both active');
    }
    this.#suspects = suspects;
    if (now - this.#summedUpAt >= SUM_UP_MS) {
      this.#summedUpAt = now;
      this.#sumUpLines();
    }
    if (now - this.#notedProvedAt >= NOTE_PROVED_MS) {
      this.#notedProvedAt = now;
      for (const { session, group } of this.connections) if (session.isProved) this.#throttle.proved(group, now);
    }
  }
}

function peerFields({ address, port }: Peer): { address: string; port: number } {
  return { address, port };
}
