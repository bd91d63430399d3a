import { copyFile, mkdtemp, open, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import {
  checkEntry,
  decodeSegmentHeader,
  ENTRY_HEADER_BYTES,
  type EntryHeader,
  SEGMENT_HEADER_BYTES,
} from './entry-format.ts';
import { type FileJournalOptions, openFileJournal } from './files.ts';
import type { Journal, TopicLog } from './port.ts';

type Settings = Partial<Omit<FileJournalOptions, 'root'>>;

/** For tests: where an entry stands in a segment file. */
export interface PlacedHeader {
  readonly header: EntryHeader;
  /** Byte positions in the file: of its first byte, and of the one after its last. */
  readonly from: number;
  readonly to: number;
}

/** For tests: a journal with the topic `3` in a folder of its own. */
export class JournalFolder implements AsyncDisposable {
  readonly root: string;
  readonly #settings: Settings;
  #journal: Journal | undefined;

  private constructor(root: string, settings: Settings) {
    this.root = root;
    this.#settings = settings;
  }

  static async make(settings: Settings = {}): Promise<JournalFolder> {
    return new JournalFolder(await mkdtemp(join(tmpdir(), 'd4-journal-')), settings);
  }

  get folder(): string {
    return join(this.root, '3');
  }

  /** Opens the journal, after closing it where it is open. */
  async open(settings: Settings = {}): Promise<Journal> {
    await this.close();
    const log = pino({ level: 'silent' });
    this.#journal = await openFileJournal({ log, policy: 'os', ...this.#settings, ...settings, root: this.root });
    return this.#journal;
  }

  /** Opens the journal, and the topic `3` in it. */
  async topic(settings: Settings = {}): Promise<TopicLog> {
    return (await this.open(settings)).open('3');
  }

  async close(): Promise<void> {
    const journal = this.#journal;
    this.#journal = undefined;
    await journal?.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
    await rm(this.root, { recursive: true });
  }

  /** Paths of the topic's files with this ending, in order. */
  async files(ending: '.seg' | '.idx' | '.damaged'): Promise<string[]> {
    const names = await readdir(this.folder);
    return names
      .filter((name) => name.endsWith(ending))
      .sort()
      .map((name) => join(this.folder, name));
  }

  /** The topic's files as they are now; `restore` puts them back. */
  async snapshot(): Promise<Map<string, Buffer>> {
    const files = new Map<string, Buffer>();
    for (const name of await readdir(this.folder)) files.set(name, await readFile(join(this.folder, name)));
    return files;
  }

  /** Closes the journal, and makes the topic's folder hold exactly these files. */
  async restore(files: ReadonlyMap<string, Buffer>): Promise<void> {
    await this.close();
    for (const name of await readdir(this.folder)) await rm(join(this.folder, name));
    for (const [name, bytes] of files) await writeFile(join(this.folder, name), bytes);
  }

  /** Copies one of the topic's files into the same topic of another journal. */
  async copyTo(other: JournalFolder, path: string): Promise<void> {
    await copyFile(path, join(other.folder, path.slice(this.folder.length + 1)));
  }
}

/** For tests: the entries of a segment file that is whole, and may end in zeros as an open one does. */
export function entriesOf(bytes: Buffer): PlacedHeader[] {
  const salt = decodeSegmentHeader(bytes.subarray(0, SEGMENT_HEADER_BYTES))?.salt ?? 0;
  const found: PlacedHeader[] = [];
  for (let at = SEGMENT_HEADER_BYTES; at < bytes.length; ) {
    const check = checkEntry(bytes, at, bytes.length, { salt, position: at });
    if (typeof check === 'string' && bytes.subarray(at).every((byte) => byte === 0)) break;
    if (typeof check === 'string') throw new Error(`no entry at ${at}: ${check}`);
    const to = at + ENTRY_HEADER_BYTES + check.found.length;
    found.push({ header: check.found, from: at, to });
    at = to;
  }
  return found;
}

/** For tests: changes one byte of a file in place. */
export async function flipByte(path: string, position: number): Promise<void> {
  const file = await open(path, 'r+');
  try {
    const byte = Buffer.alloc(1);
    await file.read(byte, 0, 1, position);
    byte.writeUInt8(byte.readUInt8(0) ^ 0x55);
    await file.write(byte, 0, 1, position);
  } finally {
    await file.close();
  }
}
