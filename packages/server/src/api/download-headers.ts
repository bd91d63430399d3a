import { basename } from 'node:path';

/** By the extension before `.gz`. All others are bytes: an extension that came from a sensor says nothing. */
const TYPES: ReadonlyMap<string, string> = new Map([
  ['cap', 'application/vnd.tcpdump.pcap'],
  ['txt', 'text/plain'],
  ['ndjson', 'application/x-ndjson'],
  ['json', 'application/json'],
  ['crt', 'application/pkix-cert'],
]);
const COMPRESSED = '.gz';

/**
 * What a browser must know of a file that it is sent: its type, that it is to be kept and not shown, and the name to
 * keep it under.
 */
export function downloadHeaders(
  file: { readonly path: string; readonly bytes: number },
  form: 'stored' | 'decompressed',
): Record<string, string> {
  const stored = basename(file.path);
  const isCompressed = stored.endsWith(COMPRESSED);
  const plain = isCompressed ? stored.slice(0, -COMPRESSED.length) : stored;
  const asStored = form === 'stored' || !isCompressed;
  const type = TYPES.get(plain.slice(plain.lastIndexOf('.') + 1)) ?? 'application/octet-stream';
  return {
    'content-type': asStored && isCompressed ? 'application/gzip' : type,
    'content-disposition': `attachment; filename="${safe(asStored ? stored : plain)}"`,
    ...(asStored && { 'content-length': String(file.bytes) }),
  };
}

/** The archiver has made the name of safe characters; whoever gets it need not rely on that. */
function safe(name: string): string {
  return name.replaceAll(/[^A-Za-z0-9.:+_-]/g, '_');
}
