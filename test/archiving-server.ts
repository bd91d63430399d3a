import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer, text } from 'node:stream/consumers';
import { setTimeout } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';
import { newSensorId, type SensorId } from '@d4ts/protocol';
import type { ArchivedFileView, Status } from '@d4ts/server';
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

  static async launch(): Promise<ArchivingServer> {
    return new ArchivingServer(await launchServer());
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
  async start(): Promise<void> {
    const { home, listen } = this.server.info;
    this.server = await launchServer({ home, args: ['--listen', listen] });
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

  async addSensor(): Promise<SensorId> {
    const uuid = newSensorId();
    await this.done('sensor', 'add', '--uuid', uuid, '--key', KEY, '--approve');
    return uuid;
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
  async send(settings: SensorSettings, input: string | Buffer): Promise<void> {
    const { code, stderr } = await runD4(['client', '-c', this.clientDirectory(settings)], { input });
    assert.deepEqual([code, stderr], [0, '']);
  }

  /** The finished files that the command lists, in the order in which they were finished. */
  async files(...filter: string[]): Promise<ArchivedFileView[]> {
    const listed: ArchivedFileView[] = JSON.parse(await this.done('archive', 'list', '-n', '100000', '--json', ...filter));
    return listed.reverse();
  }

  status(): Promise<Status> {
    return this.done('status', '--json').then((json) => JSON.parse(json) as Status);
  }

  /** Waits for finished files of which `holds` is true. */
  async untilFiles(
    holds: (files: readonly ArchivedFileView[]) => boolean,
    ...filter: string[]
  ): Promise<ArchivedFileView[]> {
    for (const end = Date.now() + PATIENCE; ; ) {
      const files = await this.files(...filter);
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
