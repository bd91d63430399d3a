import { gzipSync } from 'node:zlib';
import { clientConfigFiles, type SensorId } from '@d4ts/protocol';
import { tarEnd, tarHead, tarPadding } from '../tar-entry.ts';
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
  const mtime = new Date(now);
  const entries = files.flatMap(({ name, content }) => [
    tarHead({ path: `${folder}/${name}`, type: 'File', mode: 0o600, size: content.length, mtime }),
    content,
    tarPadding(content.length),
  ]);
  const start = tarHead({ path: `${folder}/`, type: 'Directory', mode: 0o700, size: 0, mtime });
  return { name: `${folder}.tar.gz`, bytes: gzipSync(Buffer.concat([start, ...entries, tarEnd()])) };
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
