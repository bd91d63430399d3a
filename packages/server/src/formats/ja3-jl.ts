import { createHash } from 'node:crypto';
import { decodeBase64 } from './base64.ts';
import { safeStem } from './file-names.ts';
import { linesFormat, MAX_LINE_BYTES } from './lines.ts';
import type { RecordContext, RecordFile, Rejection } from './port.ts';
import { textFiles } from './rotation.ts';

/** Certificates that one record may make files of; those beyond stay in its JSON alone. */
const MAX_CERTIFICATES = 64;

/**
 * `ja3-jl`: a JSON object for each TLS connection. It makes `jsons/<Timestamp>.json`, whose path is the item, and
 * `certs/<sha1>.crt` for each of its certificates, shared by all sensors (docs/drop-in.md, Files on disk).
 */
export const ja3JlFormat = linesFormat(MAX_LINE_BYTES, {
  name: 'ja3-jl',
  items: 'files',
  overLimit: 'skip',
  archive: { kind: 'per-record', rejected: textFiles('rejected.txt'), files: filesOf },
});

function filesOf(record: Buffer, _context: RecordContext): readonly RecordFile[] | Rejection {
  const connection = parse(record);
  if (connection === undefined) return { rejected: 'not a JSON object' };
  const { Timestamp: timestamp, Certificates: certificates } = connection;
  const stem = typeof timestamp === 'string' ? safeStem(timestamp) : undefined;
  if (stem === undefined) return { rejected: 'no Timestamp that can name a file' };
  const shared = { folder: 'shared', compress: false } as const;
  const files = new Map<string, RecordFile>();
  for (const certificate of certificatesIn(certificates)) {
    const name = createHash('sha1').update(certificate).digest('hex');
    const file = { ...shared, path: ['certs'], stem: name, extension: 'crt', bytes: certificate };
    files.set(name, { ...file, named: 'by-content', announce: false });
  }
  const json = { ...shared, path: ['jsons'], stem, extension: 'json', bytes: record };
  // Last, so that the certificates are there when its path is announced.
  return [...files.values(), { ...json, named: 'by-record', announce: true }];
}

function parse(record: Buffer): { Timestamp?: unknown; Certificates?: unknown } | undefined {
  try {
    const value: unknown = JSON.parse(record.toString('utf8'));
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** What can be decoded of `Certificates[].Raw`, base64 of DER. */
function certificatesIn(certificates: unknown): Buffer[] {
  if (!Array.isArray(certificates)) return [];
  return certificates.slice(0, MAX_CERTIFICATES).flatMap((certificate: unknown) => {
    if (typeof certificate !== 'object' || certificate === null || !('Raw' in certificate)) return [];
    const { Raw: raw } = certificate;
    const decoded = typeof raw === 'string' ? decodeBase64(Buffer.from(raw, 'latin1')) : undefined;
    return decoded === undefined ? [] : [decoded];
  });
}
