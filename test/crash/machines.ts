import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFileSync,
  closeSync,
  copyFileSync,
  mkdirSync,
  openSync,
  readSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { newSensorId } from '@d4ts/protocol';

const D4 = join(import.meta.dirname, '..', '..', 'packages', 'cli', 'bin', 'd4.js');
/** Of all sensors. */
export const KEY = 'a key of its own';
/** How long everything may take to arrive once nothing fails any more, in ms. */
export const ARRIVAL_MS = 120_000;
/** How often what grows does, in ms, and by how many records. */
const GROW_MS = 50;
const GROW_RECORDS = 20;

export type Fault = 'kill' | 'power';

/** What a machine writes to. */
export interface Disk {
  readonly path: string;
  /** The power goes, and comes again. */
  cut(): Promise<void>;
  restore(): void;
}

/** A machine of the experiment: a program, and the disk that it writes to. */
export abstract class Machine {
  readonly disk: Disk;
  child: ChildProcess | undefined;
  /** The end of what it has said since it was started. */
  said = '';
  /** Whether it has said so since it was started. */
  protected isReady = false;

  constructor(disk: Disk) {
    this.disk = disk;
  }

  abstract start(): void;

  protected launch(args: readonly string[]): ChildProcess {
    const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('D4_'));
    const child = spawn(process.execPath, [D4, ...args], { stdio: 'pipe', env: Object.fromEntries(inherited) });
    this.said = '';
    this.isReady = false;
    const hear = (chunk: Buffer): void => {
      this.said += chunk.toString();
      this.isReady ||= /^d4 server .* is ready/m.test(this.said);
      this.said = this.said.slice(-4_000);
    };
    child.stdout.on('data', hear);
    child.stderr.on('data', hear);
    child.stdin.on('error', () => {});
    this.child = child;
    return child;
  }

  /** SIGTERM first where `stopping` (ms), so that the fault comes within an orderly stop. */
  async fail(fault: Fault, stopping?: number): Promise<void> {
    const { child } = this;
    if (child === undefined) return;
    if (stopping !== undefined) {
      child.kill('SIGTERM');
      await delay(stopping);
    }
    if (fault === 'power') await this.disk.cut();
    await this.end();
    if (fault === 'power') this.disk.restore();
  }

  /** Kills the program; resolved when it is gone. */
  async end(): Promise<void> {
    const { child } = this;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  }
}

/** The server; its ports stay the same from start to start. */
export class ServerMachine extends Machine {
  readonly home: string;
  readonly #flags: readonly string[];

  constructor(disk: Disk, ports: { readonly listen: number; readonly web: number; readonly redis: number }) {
    super(disk);
    this.home = join(disk.path, 'home');
    this.#flags = Object.entries(ports).map(([name, port]) => `--${name}=127.0.0.1:${port}`);
  }

  start(): void {
    this.launch(['server', '--home', this.home, ...this.#flags]);
  }

  async ready(): Promise<void> {
    for (const until = performance.now() + ARRIVAL_MS; !this.isReady; await delay(20)) {
      assert.ok(this.child?.exitCode === null, `the server ended with ${this.child?.exitCode}:\n${this.said}`);
      assert.ok(performance.now() < until, `the server does not start:\n${this.said}`);
    }
  }
}

/** A sensor that reads a file or a pipe, with acknowledgements. */
export abstract class SensorMachine extends Machine {
  readonly uuid = newSensorId();
  readonly topic: string;
  protected readonly conf: string;

  constructor(disk: Disk, topic: string, name: string) {
    super(disk);
    this.topic = topic;
    this.conf = join(disk.path, `conf-${name}`);
  }

  protected abstract readonly source: string;

  /** Writes the configuration directory. @param destination HOST:PORT */
  configure(home: string, destination: string): void {
    const declared = !/^\d+$/.test(this.topic);
    const values = {
      uuid: this.uuid,
      key: KEY,
      type: declared ? '254' : this.topic,
      source: this.source,
      destination,
      ...(declared && { 'metaheader.json': `{"type":"${this.topic}"}` }),
    };
    mkdirSync(this.conf, { recursive: true });
    for (const [name, value] of Object.entries(values)) writeFileSync(join(this.conf, name), value);
    copyFileSync(join(home, 'rootCA.crt'), join(this.conf, 'rootCA.crt'));
  }

  /** Delivers what is left, and ends the stream. */
  abstract finish(): Promise<void>;

  protected run(...flags: readonly string[]): ChildProcess {
    return this.launch(['client', '-c', this.conf, '--ack', 'require', '-rt', '200ms', ...flags]);
  }

  protected async endedWell(child: ChildProcess): Promise<void> {
    const limit = setTimeout(() => child.kill('SIGKILL'), ARRIVAL_MS);
    const [code] = await once(child, 'exit');
    clearTimeout(limit);
    assert.equal(code, 0, `a sensor did not deliver everything:\n${this.said}`);
  }
}

/** A sensor with a file that grows, which lies on a disk that does not fail. */
export class FileSensor extends SensorMachine {
  protected readonly source: string;
  readonly #more: (number: number) => Buffer;
  #made = 0;

  constructor(disk: Disk, folder: string, topic: string, more: (number: number) => Buffer) {
    super(disk, topic, topic);
    this.source = join(folder, `${topic}.source`);
    this.#more = more;
    writeFileSync(this.source, '');
  }

  /** Records so far. */
  get made(): number {
    return this.#made;
  }

  get length(): number {
    return statSync(this.source).size;
  }

  /** What the stream has between two offsets. */
  slice(from: number, to: number): Buffer {
    const file = openSync(this.source, 'r');
    const bytes = Buffer.alloc(to - from);
    assert.equal(readSync(file, bytes, 0, bytes.length, from), bytes.length, `${this.source} is shorter than ${to}`);
    closeSync(file);
    return bytes;
  }

  /** Lets the file grow until the function that is returned is called. */
  grow(): () => void {
    const growing = setInterval(() => {
      const more = Array.from({ length: GROW_RECORDS }, () => this.#more(this.#made++));
      appendFileSync(this.source, Buffer.concat(more));
    }, GROW_MS);
    return () => clearInterval(growing);
  }

  start(): void {
    this.run('--keep-open');
  }

  async finish(): Promise<void> {
    await this.end();
    // The last run that waits for more sees the file as it is now; only then a run that does not may end the stream.
    const last = this.run('--keep-open', '-v');
    while (!this.said.includes(`${this.source}: acknowledged to`) && last.exitCode === null) await delay(50);
    await this.fail('kill', 5_000);
    await this.endedWell(this.run());
  }
}

/** A sensor that is fed through a pipe, which cannot be read twice; each of its runs has a number. */
export class PipeSensor extends SensorMachine {
  protected readonly source = 'stdin';
  readonly #line: (run: number, line: number) => string;
  readonly #flags: readonly string[];
  runs = 0;
  /** Bytes that the latest run was given; the pipe may still hold some. */
  given = 0;
  #feeding: NodeJS.Timeout | undefined;

  constructor(
    disk: Disk,
    topic: string,
    line: (run: number, line: number) => string,
    flags: readonly string[] = ['--spool', 'always'],
  ) {
    super(disk, topic, `pipe-${topic}-${flags.at(-1)}`);
    this.#line = line;
    this.#flags = flags;
  }

  /** What a run was given, at least so many bytes of it. */
  text(run: number, bytes: number): string {
    const lines: string[] = [];
    for (let line = 0, length = 0; length < bytes; line++) {
      const next = this.#line(run, line);
      lines.push(next);
      length += next.length;
    }
    return lines.join('');
  }

  start(): void {
    const run = ++this.runs;
    const child = this.run(...this.#flags);
    let line = 0;
    this.given = 0;
    const again = (): void => {
      this.#feeding = setTimeout(feed, GROW_MS);
    };
    const feed = (): void => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      let text = '';
      for (let i = 0; i < GROW_RECORDS; i++) text += this.#line(run, line++);
      this.given += text.length;
      if (child.stdin?.write(text) === true) again();
      else child.stdin?.once('drain', again);
    };
    feed();
  }

  async finish(): Promise<void> {
    await this.end();
    const child = this.run(...this.#flags);
    child.stdin?.end();
    await this.endedWell(child);
  }

  /** Whether what feeds the pipe has to wait. */
  get blocked(): boolean {
    return this.child?.stdin?.writableNeedDrain === true;
  }

  /** Ends the pipe of the run that goes on, and waits until it has delivered everything that it was given. */
  async complete(): Promise<void> {
    clearTimeout(this.#feeding);
    assert.ok(this.child !== undefined);
    this.child.stdin?.removeAllListeners('drain').end();
    await this.endedWell(this.child);
  }
}
