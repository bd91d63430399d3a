import { randomBytes } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { boundariesOf } from '../record-boundaries.ts';
import { pause } from '../sources/descriptor.ts';
import { watchedFiles } from '../sources/folder-source.ts';
import { openSource } from '../sources/open-source.ts';
import { type FileEntry, FileLedger } from '../spool/file-ledger.ts';
import { LEDGER_FILE } from '../spool/inspect.ts';
import { spoolPath } from '../spool/spool-folder.ts';
import type { OpenConnection } from '../transmitter.ts';
import type { DeliveryResult, DeliveryRun } from './deliver.ts';
import { type FileForm, FileStream } from './file-stream.ts';

/** How often it is written down how much of a file is acknowledged, in ms. */
const PROGRESS_MS = 10_000;

/** Delivers files: each is a stream of its own, which goes on where it was after a restart. */
export async function deliverFiles(run: DeliveryRun): Promise<DeliveryResult> {
  const { config, environment, report } = run.setup;
  const delivery = new FileDelivery(run);
  const onStop = () => delivery.stop();
  environment.signal.addEventListener('abort', onStop, { once: true });
  if (environment.signal.aborted) onStop();
  try {
    const first = await run.connect();
    if (first?.kind === 'plain') {
      run.letGoOfSpool();
      const source = openSource(config.source, run.setup.options, environment, (text) => report.sourceTrouble(text));
      return { kind: 'plain', source, open: first.open };
    }
    if (first === undefined || first.kind !== 'acknowledged') return { kind: 'exit', code: 1 };
    const { stopped, open } = await run.drain(first.open);
    if (stopped !== undefined) return { kind: 'exit', code: 1 };
    return { kind: 'exit', code: await delivery.run(open) };
  } finally {
    environment.signal.removeEventListener('abort', onStop);
  }
}

class FileDelivery {
  readonly #run: DeliveryRun;
  readonly #stop = new AbortController();
  #ledger: FileLedger | undefined;
  #open: OpenConnection | undefined;
  /** The id of a stream that nobody goes on with: the next new one names it. */
  #orphan: string | undefined;
  #current: FileStream | undefined;
  #code = 0;
  #saving: Promise<void> = Promise.resolve();

  constructor(run: DeliveryRun) {
    this.#run = run;
    this.#orphan = run.newestLeft;
    run.setup.report.details(() => {
      const current = this.#current;
      const { transmitter } = run;
      const facts = [`acknowledged to ${current?.acknowledged ?? 0}`, `${transmitter.reconnects} reconnects`];
      return `; ${current?.identity.source ?? 'no file'}: ${facts.join(', ')}`;
    });
  }

  /** A file that is being sent goes on with the next start; what is on its way may still be acknowledged. */
  stop(): void {
    this.#stop.abort();
    const current = this.#current;
    if (!this.#run.transmitter.connected || current === undefined) this.#run.giveUp();
    else setTimeout(() => this.#run.giveUp(), this.#run.setup.environment.farewellMs).unref();
    this.#giveUpWhenDone();
  }

  /** @returns the exit code */
  async run(open: OpenConnection | undefined): Promise<number> {
    const { report, options, config, environment } = this.#run.setup;
    this.#open = open;
    const { source } = config;
    const ledgerPath = join(spoolPath(options.config), LEDGER_FILE);
    this.#ledger = await FileLedger.open(ledgerPath, (text) => report.say(text));
    if (source.kind === 'file') {
      await this.#deliver(source.path, 'as-is', options.keepOpen);
      return this.#code;
    }
    if (source.kind !== 'folder') return 1;
    // Until there is a file, a server need not wait for a stream.
    open?.socket.destroy();
    this.#open = undefined;
    await this.#forgetRemoved();
    const { daily, json } = options;
    const { fileQuietMs: quietMs, now } = environment;
    const onTrouble = (text: string) => report.sourceTrouble(text);
    const form = json ? 'line' : 'base64-line';
    for (const { path, done } of this.#ledger.entries) {
      if (!done && !this.#stop.signal.aborted) await this.#deliver(path, form, false);
    }
    const files = watchedFiles({ path: source.path, daily, json, quietMs, now, onTrouble }, this.#stop.signal);
    for await (const path of files) {
      if (!(await this.#deliver(path, form, false))) break;
    }
    return this.#code;
  }

  /** @returns whether to go on with other files */
  async #deliver(path: string, form: FileForm, grows: boolean): Promise<boolean> {
    const { report } = this.#run.setup;
    const ledger = this.#ledger as FileLedger;
    const found = await stat(path).catch((error: Error) => error);
    if (found instanceof Error) {
      report.sourceTrouble(`${path} cannot be read: ${found.message}`);
      if (this.#run.setup.config.source.kind === 'file') this.#code = 1;
      return true;
    }
    const known = ledger.entry(path);
    const isSame = known !== undefined && (grows ? found.size >= known.acknowledged : isUnchanged(known, found));
    if (known?.done === true && isSame) return true;
    const { size, mtimeMs } = found;
    // What has grown under this entry counts as seen: once it grows no more, a run that ends the stream goes on with it.
    const entry =
      known !== undefined && !known.done && isSame ? { ...known, size, mtimeMs } : this.#newEntry(path, found, known);
    await this.#remember(entry, true);
    let stream: FileStream;
    try {
      stream = await this.#openStream(entry, form, grows);
    } catch (error) {
      report.sourceTrouble(`${path} cannot be read: ${(error as Error).message}`);
      await ledger.forget([path]);
      return true;
    }
    try {
      return await this.#send(stream, path, grows);
    } finally {
      this.#current = undefined;
      await this.#saving;
      await stream.close();
    }
  }

  async #send(stream: FileStream, path: string, grows: boolean): Promise<boolean> {
    const { report, environment } = this.#run.setup;
    const ledger = this.#ledger as FileLedger;
    this.#current = stream;
    const looking = grows ? this.#lookForMore(stream) : undefined;
    const open = this.#open;
    this.#open = undefined;
    const outcome = await this.#run.transmitter.deliver(stream, false, open?.socket);
    this.#current = undefined;
    await looking;
    if (outcome === 'ended') {
      if (stream.identity.previous === this.#run.newestLeft) await this.#run.forgetNames();
      if (stream.problem !== undefined) {
        report.say(`${path} cannot be read to its end: ${stream.problem}`);
        if (this.#run.setup.config.source.kind === 'file') this.#code = 1;
      }
      await this.#saving;
      const entry = ledger.entry(path);
      if (this.#run.setup.config.source.kind === 'file') await ledger.forget([path]);
      else if (entry !== undefined)
        await this.#remember({ ...entry, acknowledged: stream.acknowledged, done: true }, true);
      return !this.#stop.signal.aborted;
    }
    await this.#save(stream, true);
    const isAllAcknowledged = grows && stream.acknowledged === stream.available && environment.signal.aborted;
    if (isAllAcknowledged) return false;
    const why = environment.signal.aborted ? 'stopped' : 'gave up';
    const state = `${stream.acknowledged} of ${stream.available} bytes are acknowledged`;
    report.say(`${why}: of ${path} ${state}; the next start goes on there`);
    this.#code = 1;
    return false;
  }

  #newEntry(path: string, found: { size: number; mtimeMs: number }, known: FileEntry | undefined): FileEntry {
    const { report } = this.#run.setup;
    let previous = this.#orphan;
    this.#orphan = undefined;
    if (known !== undefined && !known.done) {
      report.say(
        `${path} has changed after ${known.acknowledged} bytes of it were acknowledged; it is sent as a whole`,
      );
      previous = known.rebirth?.id ?? known.stream;
    }
    return {
      path,
      stream: randomBytes(16).toString('hex'),
      ...(previous === undefined ? {} : { previous }),
      size: found.size,
      mtimeMs: found.mtimeMs,
      acknowledged: 0,
      done: false,
    };
  }

  #openStream(entry: FileEntry, form: FileForm, grows: boolean): Promise<FileStream> {
    const { config } = this.#run.setup;
    let savedAt = performance.now();
    return FileStream.open({
      path: entry.path,
      form,
      grows,
      identity: { ...this.#run.newIdentity(entry.path, entry.previous), id: entry.stream },
      ...(entry.rebirth === undefined ? {} : { rebirth: entry.rebirth }),
      acknowledged: entry.acknowledged,
      boundaries: boundariesOf(config.type),
      onAcknowledged: (stream) => {
        this.#giveUpWhenDone();
        if (performance.now() - savedAt < PROGRESS_MS) return;
        savedAt = performance.now();
        this.#saving = this.#save(stream, false);
      },
      onReborn: (stream) => this.#save(stream, true),
    });
  }

  async #save(stream: FileStream, durably: boolean): Promise<void> {
    await this.#saving;
    const { acknowledged, rebirth } = stream;
    const ledger = this.#ledger as FileLedger;
    const entry = ledger.entry(stream.identity.source);
    if (entry === undefined) return;
    const changed = { ...entry, acknowledged, ...(rebirth === undefined ? {} : { rebirth }) };
    await this.#remember(changed, durably);
  }

  /** A client that cannot write its spool delivers all the same; when it is killed, files are sent again. */
  async #remember(entry: FileEntry, durably: boolean): Promise<void> {
    if (this.#run.spool === undefined) return;
    await this.#ledger?.put(entry, durably).catch((error: Error) => {
      this.#run.setup.report.spoolTrouble(`the spool cannot be written: ${error.message}`);
    });
  }

  /** A client that is to stop need not wait for a growing file of which everything is acknowledged. */
  #giveUpWhenDone(): void {
    const current = this.#current;
    if (!this.#stop.signal.aborted || current === undefined) return;
    if (current.end === undefined && current.acknowledged === current.available) this.#run.giveUp();
  }

  async #lookForMore(stream: FileStream): Promise<void> {
    const { pollMs } = this.#run.setup.options;
    while (this.#current === stream && !this.#stop.signal.aborted) {
      await pause(pollMs, this.#stop.signal);
      await stream.look().catch(() => {});
    }
  }

  /** Files that are gone need not be remembered; of one that was not delivered to its end, that is said. */
  async #forgetRemoved(): Promise<void> {
    const ledger = this.#ledger as FileLedger;
    const gone: string[] = [];
    for (const { path, done, acknowledged, stream, rebirth } of ledger.entries) {
      const exists = await stat(path).then(
        () => true,
        (error) => error.code !== 'ENOENT',
      );
      if (exists) continue;
      gone.push(path);
      if (done) continue;
      this.#orphan = rebirth?.id ?? stream;
      this.#run.setup.report.say(
        `${path} is gone; ${acknowledged} bytes of it at the least are acknowledged, the rest is lost`,
      );
    }
    await ledger.forget(gone);
  }
}

function isUnchanged(known: FileEntry, found: { size: number; mtimeMs: number }): boolean {
  return known.size === found.size && known.mtimeMs === found.mtimeMs;
}
