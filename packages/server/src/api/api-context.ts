import type { Archive } from '../archive/archive.ts';
import type { ArchivedFiles } from '../archive/listing.ts';
import type { Ingest } from '../ingest/port.ts';
import type { Journal } from '../journal/port.ts';
import type { Queues } from '../queues/port.ts';
import type { Registry } from '../registry/port.ts';
import type { ServerFacts } from '../server-facts.ts';

/** What the interface logs to; a pino logger is one. */
export interface ApiLog {
  info(facts: object, message: string): void;
  warn(facts: object, message: string): void;
  error(facts: object, message: string): void;
}

/** The parts of the server that the routes read and change. */
export interface ApiContext {
  readonly registry: Registry;
  readonly queues: Queues;
  readonly journal: Journal;
  readonly archive: Pick<Archive, 'status'>;
  readonly archivedFiles: ArchivedFiles;
  readonly ingest: Ingest;
  /** Connections of analyzers on the Redis-protocol socket. */
  readonly redis: { readonly clients: number };
  readonly server: Pick<
    ServerFacts,
    'version' | 'startedAt' | 'certificateSha256' | 'isLocalToken' | 'isReady' | 'addresses'
  > & {
    readonly config: Pick<ServerFacts['config'], 'home' | 'mode'>;
  };
  readonly log: ApiLog;
  /** Wall clock, ms since 1970. */
  readonly now: () => number;
}
