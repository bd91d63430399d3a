import type { Readable } from 'node:stream';
import type { Archive } from '../archive/archive.ts';
import type { ArchivedFiles } from '../archive/listing.ts';
import type { Exporters } from '../export/exporters.ts';
import type { Ingest } from '../ingest/port.ts';
import type { Journal } from '../journal/port.ts';
import type { Maltrail } from '../maltrail/maltrail.ts';
import type { Monitor } from '../monitor/monitor.ts';
import type { SessionHistory } from '../monitor/sessions/session-history.ts';
import type { Queues } from '../queues/port.ts';
import type { Registry } from '../registry/port.ts';
import type { Retention } from '../retention/port.ts';
import type { BackupData, CertificateControl, ServerFacts } from '../server-facts.ts';
import type { People } from './people/people.ts';

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
  readonly exporters: Pick<Exporters, 'list' | 'get' | 'add' | 'change' | 'pause' | 'remove'>;
  readonly journal: Journal;
  readonly archive: Pick<Archive, 'status'>;
  readonly archivedFiles: ArchivedFiles;
  readonly monitor: Monitor;
  readonly sessions: Pick<SessionHistory, 'of'>;
  readonly maltrail: Omit<Maltrail, 'close'>;
  readonly ingest: Ingest;
  readonly retention: Omit<Retention, 'close' | 'run'>;
  /** Connections of analyzers on the Redis-protocol socket. */
  readonly redis: { readonly clients: number };
  readonly server: Pick<
    ServerFacts,
    | 'version'
    | 'startedAt'
    | 'certificateSha256'
    | 'isLocalToken'
    | 'isReady'
    | 'addresses'
    | 'settings'
    | 'damagedFiles'
  > & {
    readonly config: Pick<ServerFacts['config'], 'home' | 'mode' | 'sessions' | 'metrics'>;
  };
  readonly certificate: CertificateControl;
  /** Makes a backup of the server, a stream of `.tar.gz`. */
  readonly backup: (data: BackupData) => Readable;
  readonly people: People;
  /** Where this user is the first administrator: removes the file with a password that does not work any more. */
  readonly forgetFirstPassword: (mail: string) => void;
  /** Where the pages have been built; they are said not to be there where it has no index.html. */
  readonly pagesFolder: string;
  readonly log: ApiLog;
  /** Wall clock, ms since 1970. */
  readonly now: () => number;
}
