import { PROTOCOL_VERSION } from '../header.ts';
import type { SensorId } from '../sensor-id.ts';
import { isMetaTypeName, WIRE_TYPE } from '../types.ts';

/** What a client's configuration directory says (docs/drop-in.md). */
export interface ClientSettings {
  readonly uuid: SensorId;
  readonly key: Buffer;
  /** A wire type's number, or the name of a meta type. */
  readonly topic: string;
  /** `stdout`, or HOST:PORT of the server as the sensor reaches it. */
  readonly destination: string;
  /** The authority that signed the server's certificate, PEM. */
  readonly ca: string;
}

/** A file of the directory. */
export interface ClientFile {
  readonly name: (typeof CLIENT_FILE_NAMES)[number];
  readonly content: Buffer;
}

/** Every name that a configuration directory can have a file of. */
export const CLIENT_FILE_NAMES = [
  'uuid',
  'key',
  'type',
  'source',
  'destination',
  'snaplen',
  'version',
  'metaheader.json',
  'rootCA.crt',
] as const;

/** As the C and Go clients have it when nobody says another. */
const SNAPLEN = 4096;

/**
 * Whether a client can be configured to send a type: one by its number, or a meta type by its name. (2 and 254 say only
 * that a meta type follows.)
 */
export function isClientTopic(text: string): boolean {
  if (!/^[0-9]+$/.test(text)) return isMetaTypeName(text);
  const type = Number(text);
  const isDeclaring = type === WIRE_TYPE.metaHeader || type === WIRE_TYPE.declared;
  return String(type) === text && type >= 1 && type <= WIRE_TYPE.declared && !isDeclaring;
}

/** The files of the configuration directory that the C client, the Go client and `d4 client` read, without line ends. */
export function clientConfigFiles({ uuid, key, topic, destination, ca }: ClientSettings): ClientFile[] {
  const isDeclared = !/^[0-9]+$/.test(topic);
  const metaHeader = JSON.stringify({ type: topic, encoding: 'utf-8' });
  return [
    file('uuid', uuid),
    { name: 'key', content: key },
    file('type', isDeclared ? String(WIRE_TYPE.declared) : topic),
    file('source', 'stdin'),
    file('destination', destination),
    file('snaplen', String(SNAPLEN)),
    file('version', String(PROTOCOL_VERSION)),
    ...(isDeclared ? [file('metaheader.json', metaHeader)] : []),
    file('rootCA.crt', ca),
  ];
}

function file(name: ClientFile['name'], text: string): ClientFile {
  return { name, content: Buffer.from(text) };
}
