import { gzipSync } from 'node:zlib';
import { clientConfigFiles, type SensorId } from '@d4ts/protocol';
import { Header } from 'tar';
import type { ClientKind } from './enrolment-schemas.ts';

/** What a configuration directory is made of. */
export interface ClientArchiveParts {
  readonly client: ClientKind;
  readonly uuid: SensorId;
  readonly key: Buffer;
  readonly topic: string;
  /** HOST:PORT */
  readonly server: string;
  /** PEM */
  readonly ca: string;
}

const BLOCK = 512;

/**
 * A configuration directory with everything that a sensor's client reads, as `.tar.gz`; only its owner may read it once
 * it is unpacked.
 * @param now ms since 1970
 */
export function clientArchive(parts: ClientArchiveParts, now: number): { name: string; bytes: Buffer } {
  const { client, uuid, key, topic, server, ca } = parts;
  const folder = `d4-sensor-${uuid.slice(0, 8)}`;
  // The C client writes frames to its standard output; socat brings them to the server.
  const destination = client === 'c' ? 'stdout' : server;
  const files = [
    ...clientConfigFiles({ uuid, key, topic, destination, ca }),
    { name: 'README', content: Buffer.from(readme(client, folder, server)) },
  ];
  const mtime = new Date(Math.floor(now / 1_000) * 1_000);
  const entries = files.flatMap(({ name, content }) => [
    headerBlock(`${folder}/${name}`, 'File', 0o600, content.length, mtime),
    content,
    Buffer.alloc((BLOCK - (content.length % BLOCK)) % BLOCK),
  ]);
  const start = headerBlock(`${folder}/`, 'Directory', 0o700, 0, mtime);
  return { name: `${folder}.tar.gz`, bytes: gzipSync(Buffer.concat([start, ...entries, Buffer.alloc(2 * BLOCK)])) };
}

function headerBlock(path: string, type: 'File' | 'Directory', mode: number, size: number, mtime: Date): Buffer {
  const header = new Header({ path, type, mode, size, mtime, uid: 0, gid: 0 });
  const block = Buffer.alloc(BLOCK);
  header.encode(block, 0);
  return block;
}

const COMMANDS: Readonly<Record<ClientKind, (folder: string, server: string) => string>> = {
  d4: (folder) => `your-program | d4 client -c ${folder}`,
  // It takes one slash off, and puts none before the names of files.
  go: (folder) => `your-program | d4-goclient -c ${folder}// -cc`,
  c: (folder, server) =>
    `your-program | d4 -c ${folder} | socat - OPENSSL-CONNECT:${server},cafile=${folder}/rootCA.crt`,
};

function readme(client: ClientKind, folder: string, server: string): string {
  return `The configuration of one D4 sensor. The file "key" is its secret: copy this folder to the sensor alone.

  ${COMMANDS[client](folder, server)}
`;
}
