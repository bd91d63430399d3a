import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer, json, text } from 'node:stream/consumers';
import { setTimeout } from 'node:timers/promises';
import { connect } from 'node:tls';
import { gunzipSync } from 'node:zlib';
import { FrameEncoder, newSensorId, PROTOCOL_VERSION, type SensorId, WIRE_TYPE } from '@d4ts/protocol';
import type { ArchivedFilePage, ArchivedFileView, Items, QueueView, ServerLedger, Status } from '@d4ts/server';
import { type CommandResult, launchServer, runD4, type ServerProcess, startD4 } from '@d4ts/testkit';

/** How long something that must happen may take, in ms. */
const PATIENCE = 30_000;
export const KEY = 'a key of its own';

/** How a sensor sends; a client's configuration directory is made of it. */
export interface SensorSettings {
  readonly sensor: SensorId;
  readonly type: number;
  readonly metaHeader?: string;
  /** Bytes in a frame. */
  readonly snaplen?: number;
}

/** For tests: a real server and its archive, used through the `d4` command. It keeps its home and its sensors' port when it is started again. */
export class ArchivingServer {
  server: ServerProcess;
  readonly #folder = mkdtempSync(join(tmpdir(), 'd4-archiving-'));

  private constructor(server: ServerProcess) {
    this.server = server;
  }

  static async launch(environment: Readonly<Record<string, string>> = {}): Promise<ArchivingServer> {
    return new ArchivingServer(await launchServer({ environment }));
  }

  get home(): string {
    return this.server.home;
  }

  get root(): string {
    return join(this.home, 'archive');
  }

  get sensorPort(): number {
    return Number(this.server.info.listen.split(':').at(-1));
  }

  /** `kill -9`, and a new start. */
  async killAndStart(): Promise<void> {
    await this.server.kill9();
    await this.start();
  }

  /** Starts the server, which has ended, on the same home and port. */
  async start(environment: Readonly<Record<string, string>> = {}): Promise<void> {
    const { home, listen } = this.server.info;
    this.server = await launchServer({ home, args: ['--listen', listen], environment });
  }

  async dispose(): Promise<void> {
    await this.server.dispose();
    rmSync(this.home, { recursive: true, force: true });
    rmSync(this.#folder, { recursive: true, force: true });
  }

  d4(...words: string[]): Promise<CommandResult> {
    return runD4([...words, '--home', this.home]);
  }

  /** As `d4`, where it must exit 0. @returns what it printed */
  async done(...words: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.d4(...words);
    assert.equal(code, 0, `d4 ${words.join(' ')}: ${stderr}`);
    return stdout;
  }

  /** As `done`. @returns the bytes, and what stands on standard error */
  async bytes(...words: string[]): Promise<{ stdout: Buffer; stderr: string }> {
    const child = startD4([...words, '--home', this.home]);
    child.stdin.end();
    const code = new Promise((resolve) => child.once('close', resolve));
    const [stdout, stderr] = await Promise.all([buffer(child.stdout), text(child.stderr)]);
    assert.equal(await code, 0, stderr);
    return { stdout, stderr };
  }

  /** A configuration directory for `d4 client`. */
  clientDirectory({ sensor, type, metaHeader, snaplen = 4096 }: SensorSettings): string {
    const directory = mkdtempSync(join(this.#folder, 'client-'));
    const { listen, ca } = this.server.info;
    const files = { key: KEY, uuid: sensor, type, snaplen, source: 'stdin', destination: listen, 'rootCA.crt': ca };
    for (const [name, content] of Object.entries(files)) writeFileSync(join(directory, name), `${content}`);
    if (metaHeader !== undefined) writeFileSync(join(directory, 'metaheader.json'), metaHeader);
    return directory;
  }

  /** Sends all of `input` with `d4 client`, as one session. */
  async sendByClient(settings: SensorSettings, input: string | Buffer): Promise<void> {
    const { code, stderr } = await runD4(['client', '-c', this.clientDirectory(settings)], { input });
    assert.deepEqual([code, stderr], [0, '']);
  }

  /** Sends all of `input` as one session. */
  async send({ sensor, type, metaHeader, snaplen = 4096 }: SensorSettings, input: string | Buffer): Promise<void> {
    const encoder = new FrameEncoder({ sensor, key: Buffer.from(KEY), version: PROTOCOL_VERSION });
    const socket = connect({ host: '127.0.0.1', port: this.sensorPort, ca: this.server.info.ca });
    await once(socket, 'secureConnect');
    if (metaHeader !== undefined) socket.write(encoder.encode(WIRE_TYPE.metaHeader, Buffer.from(metaHeader), 1));
    const bytes = Buffer.from(input);
    for (let at = 0; at < bytes.length; at += snaplen) {
      socket.write(encoder.encode(type, bytes.subarray(at, at + snaplen), 1));
    }
    socket.resume().end();
    await once(socket, 'close');
  }

  /** Asks the HTTP interface; POST where there is a body. */
  async ask<T>(path: string, body?: object): Promise<T> {
    const { url, ca, token } = this.server.info;
    const method = body === undefined ? 'GET' : 'POST';
    const headers = { authorization: `Bearer ${token}`, ...(body && { 'content-type': 'application/json' }) };
    const asked = request(`${url}/api/v1${path}`, { method, ca, headers, agent: false });
    asked.end(body === undefined ? undefined : JSON.stringify(body));
    const [response]: IncomingMessage[] = await once(asked, 'response');
    assert.ok(response !== undefined);
    const answer: unknown = await json(response);
    assert.ok(response.statusCode === 200 || response.statusCode === 201, `${path}: ${JSON.stringify(answer)}`);
    return answer as T;
  }

  async addSensor(): Promise<SensorId> {
    const uuid = newSensorId();
    await this.ask('/sensors', { uuid, key: KEY, approve: true });
    return uuid;
  }

  async acceptType(name: string): Promise<void> {
    await this.ask('/types', { name });
  }

  /** Makes a queue. @returns its uuid */
  async addQueue(type: string): Promise<string> {
    return (await this.ask<QueueView>('/queues', { type })).uuid;
  }

  /** Takes all items of a queue. */
  async popAll(queue: string): Promise<string[]> {
    const popped: string[] = [];
    for (;;) {
      const { items } = await this.ask<Items>(`/queues/${queue}/pop?count=1000`, {});
      if (items.length === 0) return popped;
      popped.push(...items.map(({ data }) => data));
    }
  }

  /** All finished files, or those of a topic, in the order in which they were finished. */
  async files(topic?: string): Promise<ArchivedFileView[]> {
    const files: ArchivedFileView[] = [];
    const query = new URLSearchParams({ limit: '1000', ...(topic !== undefined && { type: topic }) });
    for (;;) {
      const { items, next } = await this.ask<ArchivedFilePage>(`/archive/files?${query}`);
      files.push(...items);
      if (next === null) return files.reverse();
      query.set('after', next);
    }
  }

  status(): Promise<Status> {
    return this.ask('/status');
  }

  /** What sensors have sent that is neither committed nor counted as lost yet. */
  async inFlight(): Promise<ServerLedger['streams']> {
    const { streams } = await this.ask<ServerLedger>('/ledger');
    return streams.filter(({ inFlight }) => inFlight !== 0);
  }

  /** Waits for finished files of which `holds` is true. */
  async untilFiles(
    holds: (files: readonly ArchivedFileView[]) => boolean,
    topic?: string,
  ): Promise<ArchivedFileView[]> {
    for (const end = Date.now() + PATIENCE; ; ) {
      const files = await this.files(topic);
      if (holds(files)) return files;
      assert.ok(Date.now() < end, `not within ${PATIENCE} ms: ${JSON.stringify(files)}\n${this.server.log()}`);
      await setTimeout(50);
    }
  }
}

/** What is in a file of the archive. */
export function contentOf(path: string): Buffer {
  const bytes = readFileSync(path);
  return path.endsWith('.gz') ? gunzipSync(bytes) : bytes;
}
