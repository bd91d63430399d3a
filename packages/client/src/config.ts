import { X509Certificate } from 'node:crypto';
import { statSync } from 'node:fs';
import {
  D4Error,
  isMetaTypeName,
  isVersion4,
  newSensorId,
  PROTOCOL_VERSION,
  type SensorId,
  sensorIdFrom,
  WIRE_TYPE,
} from '@d4ts/protocol';
import { ConfigFiles } from './config-files.ts';
import { DESTINATION_FORM, type Destination, parseDestination, parseServerAddress } from './destination.ts';

/** Where a client's bytes come from. */
export type SourceConfig =
  | { readonly kind: 'stdin' }
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'folder'; readonly path: string }
  | {
      readonly kind: 'd4server';
      readonly host: string;
      readonly port: number;
      readonly database: number;
      readonly queue: string;
    };

/** A client's configuration directory, read and checked (docs/drop-in.md, "Client configuration directory"). */
export interface ClientConfig {
  readonly directory: string;
  readonly sensor: SensorId;
  /** Whether the uuid was made now, and written back. */
  readonly sensorIsNew: boolean;
  /** All bytes of the key. (The Go client uses the first 100; a server tries both.) */
  readonly key: Buffer;
  /** The wire type of the data: 254 where the directory says 2 or 254. */
  readonly type: number;
  /** The meta header's file as it is, for type 254. */
  readonly metaHeader?: Buffer;
  readonly version: number;
  /** The largest payload of a frame, in bytes. */
  readonly snaplen: number;
  readonly source: SourceConfig;
  readonly destination: Destination;
  /** `rootCA.crt`, PEM. */
  readonly rootCa?: string;
}

const DEFAULT_SNAPLEN = 4096;
/** A frame must fit in memory several times; no server is known to take more. */
const MAX_SNAPLEN = 16_777_216;
/** What the C client can hold; the longest key that the registration takes. */
const MAX_KEY_BYTES = 1023;
/** The Go client's limit, and the servers'. */
const MAX_META_HEADER_BYTES = 100_000;
const META_HEADER_FILES = ['metaheader.json', 'meta-header.json'] as const;
/** What the Go client opens, in its working directory, for `source` = `pcap`. */
const PCAP_FILE = 'capture.pcap';

/**
 * Reads and checks a client's configuration directory. An empty or missing `uuid` is generated and written back.
 * @throws {D4Error} D4_CONFIG, naming the file, its value and what is allowed
 */
export function readClientConfig(directory: string): ClientConfig {
  const files = new ConfigFiles(directory);
  const key = readKey(files);
  const declared = readNumber(files, 'type', 1, 255);
  if (declared === undefined) {
    throw files.missing('type', 'the number of the data type (such as 1 for pcap, 3 for log lines, 8 for passive DNS)');
  }
  const isDeclared = declared === WIRE_TYPE.declared || declared === WIRE_TYPE.metaHeader;
  const metaHeader = isDeclared ? readMetaHeader(files, declared) : undefined;
  const rest = {
    directory,
    key,
    type: isDeclared ? WIRE_TYPE.declared : declared,
    version: readNumber(files, 'version', 1, 255) ?? PROTOCOL_VERSION,
    snaplen: readNumber(files, 'snaplen', 1, MAX_SNAPLEN) ?? DEFAULT_SNAPLEN,
    source: readSource(files),
    destination: readDestination(files),
  };
  const rootCa = readRootCa(files);
  return {
    ...rest,
    ...readSensor(files),
    ...(metaHeader === undefined ? {} : { metaHeader }),
    ...(rootCa === undefined ? {} : { rootCa }),
  };
}

function readKey(files: ConfigFiles): Buffer {
  const key = files.value('key');
  if (key === undefined || key.length === 0) {
    throw files.missing('key', 'the key with which the sensor is registered');
  }
  if (key.length > MAX_KEY_BYTES) {
    const lengths = `a key of ${key.length} bytes; allowed is one of 1 to ${MAX_KEY_BYTES} bytes`;
    throw new D4Error('D4_CONFIG', `${files.path('key')} contains ${lengths}`);
  }
  return key;
}

function readNumber(files: ConfigFiles, name: string, least: number, most: number): number | undefined {
  const text = files.text(name);
  if (text === '') return undefined;
  const number = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN;
  if (number >= least && number <= most) return number;
  throw files.bad(name, text, `a whole number from ${least} to ${most}`);
}

function readSensor(files: ConfigFiles): { sensor: SensorId; sensorIsNew: boolean } {
  const text = files.text('uuid');
  if (text === '') {
    const sensor = newSensorId();
    files.replace('uuid', `${sensor}\n`);
    return { sensor, sensorIsNew: true };
  }
  const sensor = sensorIdFrom(text);
  if (sensor === undefined || !isVersion4(sensor)) {
    throw files.bad('uuid', text, 'a UUID of version 4, with or without dashes; empty the file to have one made');
  }
  return { sensor, sensorIsNew: false };
}

function readDestination(files: ConfigFiles): Destination {
  const text = files.text('destination');
  if (text === '') throw files.missing('destination', DESTINATION_FORM);
  const destination = parseDestination(text);
  if (destination === undefined) throw files.bad('destination', text, DESTINATION_FORM);
  return destination;
}

function readSource(files: ConfigFiles): SourceConfig {
  const text = files.text('source');
  if (text === '' || text === 'stdin') return { kind: 'stdin' };
  if (text === 'folder') return { kind: 'folder', path: readFolder(files) };
  if (text === 'd4server') return readRedisSource(files);
  const path = text === 'pcap' ? PCAP_FILE : text;
  if (text !== 'pcap' && !/[/\\]/.test(text)) {
    throw files.bad('source', text, 'stdin, folder, d4server, pcap, or the path of a file (with a / in it)');
  }
  if (!isKind(path, 'file')) {
    const why = 'which is no regular file that can be read (a pipe goes to the standard input)';
    throw new D4Error('D4_CONFIG', `${files.path('source')} names the file ${path}, ${why}`);
  }
  return { kind: 'file', path };
}

function readFolder(files: ConfigFiles): string {
  const path = files.value('folder')?.toString('utf8') ?? '';
  if (path === '') throw files.missing('folder', 'the path of the folder to watch');
  if (!isKind(path, 'folder')) throw files.bad('folder', path, 'the path of an existing folder');
  return path;
}

function readRedisSource(files: ConfigFiles): SourceConfig {
  const text = files.text('redis_d4');
  const form = 'the Redis server as HOST:PORT/DATABASE, such as 127.0.0.1:6380/2';
  if (text === '') throw files.missing('redis_d4', form);
  const match = /^(.+)\/(\d{1,9})$/.exec(text);
  const address = match === null ? undefined : parseServerAddress(match[1] as string);
  if (match === null || address === undefined) throw files.bad('redis_d4', text, form);
  const queue = files.text('redis_queue');
  if (queue === '') throw files.missing('redis_queue', 'the whole key of the queue, analyzer:TYPE:UUID');
  return { kind: 'd4server', host: address.host, port: address.port, database: Number(match[2]), queue };
}

function readMetaHeader(files: ConfigFiles, type: number): Buffer {
  const name = META_HEADER_FILES.find((each) => files.bytes(each) !== undefined);
  const form = 'one JSON object with a string "type", such as {"type":"maltrail"}';
  const bytes = name === undefined ? undefined : files.bytes(name);
  if (name === undefined || bytes === undefined) {
    throw new D4Error('D4_CONFIG', `${files.path(META_HEADER_FILES[0])} is missing; type ${type} needs it: ${form}`);
  }
  if (bytes.length > MAX_META_HEADER_BYTES) {
    throw files.bad(name, bytes.toString('utf8'), `${form}, of at most ${MAX_META_HEADER_BYTES} bytes`);
  }
  const metaType = metaTypeOf(bytes);
  if (metaType === undefined) throw files.bad(name, bytes.toString('utf8').trim(), form);
  if (!isMetaTypeName(metaType)) {
    throw files.bad(name, metaType, 'a "type" of 1 to 64 letters, digits, _ and -, not all digits');
  }
  return bytes;
}

function metaTypeOf(bytes: Buffer): string | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) return undefined;
  const type = (parsed as { type?: unknown }).type;
  return typeof type === 'string' ? type : undefined;
}

function readRootCa(files: ConfigFiles): string | undefined {
  const pem = files.bytes('rootCA.crt')?.toString('latin1');
  if (pem === undefined || pem.trim() === '') return undefined;
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  try {
    if (blocks.length === 0) throw new Error('there is no certificate in it');
    for (const block of blocks) new X509Certificate(block);
  } catch (cause) {
    const why = (cause as Error).message;
    throw new D4Error('D4_CONFIG', `${files.path('rootCA.crt')} must contain certificates in PEM form: ${why}`, cause);
  }
  return pem;
}

function isKind(path: string, kind: 'file' | 'folder'): boolean {
  try {
    const found = statSync(path);
    return kind === 'file' ? found.isFile() : found.isDirectory();
  } catch {
    return false;
  }
}
