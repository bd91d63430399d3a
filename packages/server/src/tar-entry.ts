import { Header, Pax } from 'tar';

const BLOCK = 512;

/** What a tar archive says of one file or folder. */
export interface TarEntry {
  readonly path: string;
  readonly type: 'File' | 'Directory';
  readonly mode: number;
  /** Bytes of its content. */
  readonly size: number;
  readonly mtime: Date;
}

/** What stands before an entry's content. Times are whole seconds: a fraction would need a header of its own. */
export function tarHead(entry: TarEntry): Buffer {
  const mtime = new Date(Math.floor(entry.mtime.getTime() / 1_000) * 1_000);
  const header = new Header({ ...entry, mtime, uid: 0, gid: 0 });
  const block = Buffer.alloc(BLOCK);
  const needsPax = header.encode(block, 0);
  return needsPax ? Buffer.concat([new Pax({ path: entry.path, size: entry.size }).encode(), block]) : block;
}

/** What stands behind a content of so many bytes. */
export function tarPadding(size: number): Buffer {
  return Buffer.alloc((BLOCK - (size % BLOCK)) % BLOCK);
}

/** What an archive ends with. */
export function tarEnd(): Buffer {
  return Buffer.alloc(2 * BLOCK);
}
