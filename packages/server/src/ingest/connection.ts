import type { TLSSocket } from 'node:tls';
import type { RefusalCode, SensorId } from '@d4ts/protocol';
import { ActivityMeter } from './activity-meter.ts';
import type { Refusal } from './admission.ts';
import type { ConnectionHub } from './hub.ts';
import type { SessionInfo } from './port.ts';
import type { SensorShare } from './sensor-share.ts';
import { type PayloadSink, Session, type SessionEffects, type StreamStart } from './session.ts';
import type { TableEntry } from './session-table.ts';
import type { StreamWriter } from './stream-writer.ts';
import type { UnprovedMember } from './unproved-pool.ts';

/** What is thrown away at the most of what still comes after the server has closed. */
const MAX_DISCARDED_BYTES = 4 * 1024 * 1024;

/** Where a connection comes from. */
export interface Peer {
  readonly address: string;
  readonly port: number;
  /** What shares one bound with it (`addressGroup`). */
  readonly group: string;
}

/** The stream of a session, and its place among the others. */
export interface OpenStream {
  readonly start: StreamStart;
  readonly writer: StreamWriter;
  readonly entry: TableEntry<Session>;
}

/** One TLS connection of a v1 client: the edge between its socket and its session. It never writes. */
export class Connection implements SessionEffects, UnprovedMember {
  readonly peer: Peer;
  readonly session: Session;
  readonly #hub: ConnectionHub;
  readonly #socket: TLSSocket;
  /** Wall clock, ms. */
  readonly #since = Date.now();
  #stream: OpenStream | undefined;
  /** Its place among the others while its meta header is on its way. */
  #declaring: TableEntry<Session> | undefined;
  #meter: ActivityMeter | undefined;
  /** What it has in common with the other connections of its sensor, once that is proved. */
  #share: SensorShare | undefined;
  /** Whether the socket is not read, because the journal is behind or the sensor has had its share. */
  #held = false;
  #lastReceiveAt: number;
  /** Since when our side is closed, or is about to be once everything is committed. */
  #closing: 'no' | 'after-commit' | number = 'no';
  #discarded = 0;
  readonly #gone = Promise.withResolvers<void>();

  constructor(socket: TLSSocket, peer: Peer, hub: ConnectionHub) {
    this.peer = peer;
    this.#hub = hub;
    this.#socket = socket;
    this.#lastReceiveAt = hub.now();
    this.session = new Session(hub.admission, this, hub.limits, this.#lastReceiveAt);
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('end', () => this.finish());
    socket.on('error', (error) =>
      hub.log.debug({ err: error, ...peer, sensor: this.session.sensor }, 'connection lost'),
    );
    socket.on('close', () => this.#closed());
  }

  get group(): string {
    return this.peer.group;
  }

  get pendingBytes(): number {
    return this.session.pendingBytes;
  }

  get held(): boolean {
    return this.#held;
  }

  /** Resolved when the stream, if there is one, has ended and is committed. */
  get committed(): Promise<void> {
    return this.#stream?.writer.finished ?? Promise.resolve();
  }

  /** Resolved when the socket is closed. */
  get gone(): Promise<void> {
    return this.#gone.promise;
  }

  /** What there is to say of a session whose topic is known. */
  info(now: number): SessionInfo | undefined {
    if (this.#stream === undefined) return undefined;
    const { session } = this;
    const { start, writer } = this.#stream;
    return {
      sensor: start.sensor,
      topic: start.topic,
      address: this.peer.address,
      port: this.peer.port,
      since: this.#since,
      lastFrameAt: Math.round(Date.now() - (now - session.lastFrameAt)),
      frames: session.frames,
      bytes: session.bytes,
      records: writer.records,
    };
  }

  // What the session asks for.

  enrol(sensor: SensorId): boolean {
    return this.#hub.enrol(sensor, this.peer.address);
  }

  proved(sensor: SensorId): void {
    this.#share = this.#hub.proved(this, sensor);
    this.#meter = new ActivityMeter(this.#hub.activity, sensor, this.peer.address, Date.now());
  }

  declaring(sensor: SensorId): RefusalCode | undefined {
    const entry = this.#hub.declare(this, sensor);
    if (typeof entry === 'string') return entry;
    this.#declaring = entry;
    return undefined;
  }

  open(start: StreamStart): PayloadSink | RefusalCode {
    this.#declared();
    if (this.#share === undefined) return 'not-registered';
    const stream = this.#hub.openStream(this, start, this.#share);
    if (typeof stream === 'string') return stream;
    this.#stream = stream;
    this.#meter?.begin(start.topic, Date.now());
    return stream.writer;
  }

  refused(refusal: Refusal): void {
    this.#hub.refused(this.peer, refusal);
    this.#endStream();
    this.#shut();
  }

  // What others ask for.

  /** Makes room for others: it has proved nothing, and has been idle longest. */
  evict(): void {
    this.session.close('too-many-connections');
  }

  /** Ends the session without a reason of the protocol. */
  kick(): void {
    this.session.end();
    this.#endStream();
    this.#shut();
  }

  /** The sensor has ended, or the server stops: everything that came is kept, and then the connection is closed. */
  finish(): void {
    if (this.#closing !== 'no') return;
    this.#closing = 'after-commit';
    this.session.end();
    this.#endStream();
    void this.committed.then(() => this.#shut());
  }

  /** Closes at once, even if the peer then sees a reset. */
  destroy(): void {
    this.#socket.destroy();
  }

  tick(now: number): void {
    if (typeof this.#closing === 'number') {
      if (now - this.#closing >= this.#hub.limits.closeTimeoutMs) this.#socket.destroy();
    } else if (!this.#held) {
      this.session.tick(now);
    }
  }

  /** Whether everything that had arrived at `since` has been read, as far as that can be known. */
  isDrained(since: number, quietMs: number, busyMs: number): boolean {
    const now = this.#hub.now();
    if (this.#closing !== 'no') return true;
    return !this.#held && (now - Math.max(since, this.#lastReceiveAt) >= quietMs || now - since >= busyMs);
  }

  /** Its large unfinished record keeps others waiting: it has to come on. */
  tickBlocking(now: number): void {
    const isLate = now - this.#lastReceiveAt >= this.#hub.limits.payloadTimeoutMs;
    if (isLate && !this.#held) this.session.close('payload-timeout');
  }

  /** Stops or goes on reading the socket. */
  updateHold(): void {
    if (this.#closing !== 'no') return;
    const hold = this.#hub.holdsAll || this.#share?.holds === true || !this.#hasRoom();
    if (hold === this.#held) return;
    this.#held = hold;
    if (hold) {
      this.#hub.countPause();
      this.#socket.pause();
    } else {
      this.session.resumed(this.#hub.now());
      this.#socket.resume();
    }
  }

  /** Whether there is memory for the record that it is in the middle of. */
  #hasRoom(): boolean {
    if (this.#stream === undefined) return true;
    const { start, writer } = this.#stream;
    return this.#hub.room.admits(this, start.sensor, writer.unfinishedBytes, writer.maxRecordBytes);
  }

  /** Whatever a peer sends, it must not end the server. */
  #receive(chunk: Buffer): void {
    try {
      this.#take(chunk);
    } catch (error) {
      this.#fail(error);
    }
  }

  #take(chunk: Buffer): void {
    if (this.#closing !== 'no') {
      this.#discarded += chunk.length;
      if (this.#discarded > MAX_DISCARDED_BYTES) this.#socket.destroy();
      return;
    }
    const now = this.#hub.now();
    this.#lastReceiveAt = now;
    this.session.receive(chunk, now);
    this.#share?.received(chunk.length);
    if (this.session.over) return;
    if (!this.session.isProved) this.#hub.touch(this);
    this.#stream?.writer.flush();
    this.#account();
    this.updateHold();
  }

  #account(): void {
    const { frames, streamFrames, streamBytes } = this.session;
    const { records = 0, skippedBytes = 0, cuts: cutRecords = 0 } = this.#stream?.writer ?? {};
    this.#meter?.update({ frames, streamFrames, streamBytes, records, skippedBytes, cutRecords }, Date.now());
  }

  #endStream(): void {
    this.#declared();
    this.#share?.leave(this);
    this.#hub.room.leave(this);
    const stream = this.#stream;
    try {
      if (stream !== undefined) this.#hub.endStream(stream);
    } catch (error) {
      this.#hub.failed(this.peer, error);
    }
    this.#account();
  }

  #declared(): void {
    if (this.#declaring !== undefined) this.#hub.declared(this.#declaring);
    this.#declaring = undefined;
  }

  #fail(error: unknown): void {
    this.#hub.failed(this.peer, error);
    this.kick();
  }

  /**
   * Closes our side in good order: the peer sees the end at once. Reading goes on for a while, since closing a socket
   * with unread bytes sends a reset, and some clients hang for ever after one (docs/d4-protocol.md).
   */
  #shut(): void {
    if (typeof this.#closing === 'number') return;
    this.#closing = this.#hub.now();
    this.#held = false;
    this.#hub.leaving(this);
    this.#socket.end();
    this.#socket.resume();
  }

  #closed(): void {
    this.session.end();
    this.#endStream();
    this.#closing = this.#hub.now();
    this.#hub.gone(this);
    this.#gone.resolve();
  }
}
