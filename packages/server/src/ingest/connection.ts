import { randomBytes } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { ACK_NONCE_BYTES, type AckOpen, type EndCause, type RefusalCode, type SensorId } from '@d4ts/protocol';
import { AckSession, type AckSessionEffects } from './ack-session.ts';
import type { StreamClaim } from './ack-streams.ts';
import { ActivityMeter } from './activity-meter.ts';
import type { Refusal } from './admission.ts';
import type { ConnectionHub } from './hub.ts';
import type { SessionInfo } from './port.ts';
import type { SensorSession } from './sensor-session.ts';
import type { SensorShare } from './sensor-share.ts';
import { type PayloadSink, Session, type SessionEffects, type StreamStart } from './session.ts';
import type { TableEntry } from './session-table.ts';
import type { StreamWriter } from './stream-writer.ts';
import type { UnprovedMember } from './unproved-pool.ts';

/** What is thrown away at the most of what still comes after the server has closed. */
const MAX_DISCARDED_BYTES = 4 * 1024 * 1024;

/** So much of what the server sends may wait for the peer to read it. */
const MAX_UNREAD_BYTES = 256 * 1024;

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
  readonly entry: TableEntry<SensorSession>;
}

/** What a connection speaks: frames, to which the server never answers, or acknowledged streams. */
export type Protocol = 'v1' | 'acknowledged';

/** One TLS connection of a client: the edge between its socket and its session. To a v1 client it never writes. */
export class Connection implements SessionEffects, AckSessionEffects, UnprovedMember {
  readonly peer: Peer;
  readonly session: SensorSession;
  /** The same session, where streams are acknowledged. */
  readonly #acknowledging: AckSession | undefined;
  readonly #hub: ConnectionHub;
  readonly #socket: TLSSocket;
  /** Wall clock, ms. */
  readonly #since = Date.now();
  #stream: OpenStream | undefined;
  /** Resolved when the end that the client has told is committed, and it was told so. */
  #ending: Promise<void> | undefined;
  /** Its place among the others while its meta header is on its way. */
  #declaring: TableEntry<SensorSession> | undefined;
  #meter: ActivityMeter | undefined;
  /** What it has in common with the other connections of its sensor, once that is proved. */
  #share: SensorShare | undefined;
  /** Whether the socket is not read, because the journal is behind or the sensor has had its share. */
  #held = false;
  #lastReceiveAt: number;
  /** Since when our side is closed, or is about to be once everything is committed. */
  #closing: 'no' | 'after-commit' | number = 'no';
  #discarded = 0;
  /** Bytes that the session was given, and whose they are once that is proved. */
  #received = 0;
  #sensor: SensorId | undefined;
  readonly #gone = Promise.withResolvers<void>();

  constructor(socket: TLSSocket, peer: Peer, hub: ConnectionHub, protocol: Protocol) {
    this.peer = peer;
    this.#hub = hub;
    this.#socket = socket;
    this.#lastReceiveAt = hub.now();
    if (protocol === 'v1') this.session = new Session(hub.admission, this, hub.limits, this.#lastReceiveAt);
    else {
      const nonce = randomBytes(ACK_NONCE_BYTES);
      const wallOffsetMs = Date.now() - this.#lastReceiveAt;
      const options = { ...hub.limits, scratch: hub.scratch, wallOffsetMs, nonce };
      this.#acknowledging = new AckSession(hub.admission, this, options, this.#lastReceiveAt);
      this.session = this.#acknowledging;
    }
    socket.on('data', (chunk: Buffer) => this.#receive(chunk));
    socket.on('end', () => this.finish());
    socket.on('error', (error) =>
      hub.log.debug({ err: error, ...peer, sensor: this.session.sensor }, 'connection lost'),
    );
    socket.on('close', () => this.#closed());
    this.#acknowledging?.begin();
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
    return this.#ending ?? this.#stream?.writer.finished ?? Promise.resolve();
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
      usesPreviousKey: session.usesPreviousKey,
      ...this.#acknowledgedInfo(writer),
    };
  }

  #acknowledgedInfo({ id }: StreamWriter): Pick<SessionInfo, 'acknowledged'> {
    if (this.#acknowledging === undefined) return {};
    const { receivedTo, acknowledgedTo, gaps, gapBytes } = this.#acknowledging;
    return { acknowledged: { stream: id, receivedTo, acknowledgedTo, gaps, gapBytes } };
  }

  // What the session asks for.

  enrol(sensor: SensorId): boolean {
    return this.#hub.enrol(sensor, this.peer.address);
  }

  proved(sensor: SensorId): void {
    this.#sensor = sensor;
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

  send(bytes: Buffer): void {
    if (typeof this.#closing === 'number' || !this.#socket.writable) return;
    this.#socket.write(bytes);
    // It does not read what it has asked for.
    if (this.#socket.writableLength > MAX_UNREAD_BYTES) this.#socket.destroy();
  }

  openAcknowledged(start: StreamStart, open: AckOpen): void {
    this.#openStream(start, open).catch((error: unknown) => this.#fail(error));
  }

  endAcknowledged(total: number, cause: EndCause): void {
    this.#ending = this.#endAcknowledged(total, cause).catch((error: unknown) => {
      this.#ending = undefined;
      this.#fail(error);
    });
  }

  async #openStream(start: StreamStart, open: AckOpen): Promise<void> {
    const session = this.#acknowledging;
    const share = this.#share;
    if (session === undefined || share === undefined) return;
    const holder = { replace: () => session.close('stream-replaced') };
    const found = await this.#hub.ackStreams.find(start, open, holder);
    if (typeof found !== 'string') this.#hub.recognised(start, Math.min(found.offset, open.end) - open.from);
    if (typeof found === 'string' || found.kind === 'ended') {
      session.opened(found);
      if (typeof found !== 'string') this.finish();
      return;
    }
    const { claim, offset, crc, stream: part } = found;
    if (session.over) {
      claim.release();
      return;
    }
    const acknowledged = { ...part, onCommitted: (to: number) => session.committed(to) };
    const stream = this.#hub.openStream(this, start, share, acknowledged);
    if (typeof stream === 'string') {
      claim.release();
      session.opened(stream);
      return;
    }
    this.#stream = stream;
    this.#releaseAfter(stream.writer, claim);
    this.#meter?.begin(start.topic, Date.now());
    const { writer: sink } = stream;
    session.opened({ kind: 'open', offset, crc, maxRecordBytes: sink.maxRecordBytes, sink });
    sink.flush();
  }

  #releaseAfter(writer: StreamWriter, claim: StreamClaim): void {
    void writer.finished.then(() => claim.release());
  }

  /** The end is noted first: should the server stop in between, the journal decides whether it was reached. */
  async #endAcknowledged(total: number, cause: EndCause): Promise<void> {
    const stream = this.#stream;
    if (stream === undefined) return;
    const { start, writer } = stream;
    await this.#hub.ackStreams.noteEnd(start, writer.id, total);
    if (writer.isEnded) return;
    this.#hub.endStream(stream, cause);
    await writer.finished;
    if (writer.isBroken) return;
    this.#acknowledging?.ended();
    this.finish();
  }

  refused(refusal: Refusal): void {
    this.#hub.refused(this.peer, refusal);
    this.#tellUnverified(refusal.verified ? refusal.sensor : undefined, refusal.code);
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
    } else {
      this.session.tick(now, this.#held);
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
    this.#received += chunk.length;
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

  /** Once, at the end: what was in no verified frame. */
  #tellUnverified(sensor: SensorId | undefined, reason: RefusalCode | undefined): void {
    const unverified = this.#received - this.session.verifiedBytes;
    this.#received -= unverified;
    if (unverified > 0) this.#hub.unverified(sensor, reason, unverified);
  }

  #endStream(): void {
    this.#tellUnverified(this.#sensor, undefined);
    this.#declared();
    this.#share?.leave(this);
    this.#hub.room.leave(this);
    const stream = this.#stream;
    try {
      if (stream !== undefined && this.#ending === undefined) this.#hub.endStream(stream);
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
