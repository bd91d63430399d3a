/** What a client's configuration directory says. */
export interface ClientSettings {
  readonly uuid: string;
  /** A wire type's number, or the name of a meta type. */
  readonly topic: string;
  /** HOST:PORT of the server as the sensor reaches it. */
  readonly destination: string;
  /** The authority that signed the server's certificate, PEM. */
  readonly ca: string;
  /** Its bytes; undefined where nobody has revealed it. */
  readonly key: Uint8Array | undefined;
}

/** A file of the directory; content undefined is for who has it to write. */
export interface ClientFile {
  readonly name: string;
  readonly content: string | Uint8Array | undefined;
  readonly mode: number;
}

const DECLARED = '254';

/** The files of the configuration directory that the C client, the Go client and d4 client read (docs/drop-in.md). */
export function clientFiles({ uuid, topic, destination, ca, key }: ClientSettings): ClientFile[] {
  const isDeclared = !/^\d+$/.test(topic);
  const readable = 0o644;
  return [
    { name: 'uuid', content: uuid, mode: readable },
    { name: 'key', content: key, mode: 0o600 },
    { name: 'type', content: isDeclared ? DECLARED : topic, mode: readable },
    { name: 'source', content: 'stdin', mode: readable },
    { name: 'destination', content: destination, mode: readable },
    { name: 'snaplen', content: '4096', mode: readable },
    { name: 'version', content: '1', mode: readable },
    ...(isDeclared
      ? [{ name: 'metaheader.json', content: JSON.stringify({ type: topic, encoding: 'utf-8' }), mode: readable }]
      : []),
    { name: 'rootCA.crt', content: ca, mode: readable },
  ];
}
