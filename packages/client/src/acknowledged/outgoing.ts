import type { LostCause } from '../spool/lost-ranges.ts';
import type { StreamIdentity } from '../spool/stream-identity.ts';
import type { Rebirth, StreamEnd } from '../spool/stream-record.ts';
import type { Wakeup } from '../wakeup.ts';

/** What comes next in a stream. */
export type Piece =
  | {
      readonly kind: 'data';
      /** At least one byte; nobody changes them. */
      readonly bytes: Buffer;
    }
  /** Bytes up to `to` that are gone. */
  | { readonly kind: 'gap'; readonly to: number; readonly cause: LostCause };

/**
 * A stream that is delivered with acknowledgements: what of it is not acknowledged can be read, as often as a connection
 * breaks. Offsets are in bytes that the source gave, whatever the stream is called with the server (`Rebirth`).
 */
export interface Outgoing {
  readonly identity: StreamIdentity;
  readonly rebirth: Rebirth | undefined;
  /** The stream's first bytes, where a reader must have seen them (the pcap global header); empty otherwise. */
  readonly preamble: Buffer;
  /** Everything before it is acknowledged. */
  readonly acknowledged: number;
  /** Where the stream that follows begins, if the server refuses to go on with this one: mostly `acknowledged`. */
  readonly forkAt: number;
  /** Behind the last byte that can be read now. */
  readonly available: number;
  /** How the stream ends, as soon as it is known. */
  readonly end: StreamEnd | undefined;
  /** Woken when there is more to read, or the end is known. */
  readonly more: Wakeup;
  /** At most `maxBytes` from `offset` on (`acknowledged` at the least); undefined where there is nothing now. */
  read(offset: number, maxBytes: number): Promise<Piece | undefined>;
  /** CRC-32 of the stream up to `offset`; undefined where it is not known, as what is before it is damaged. */
  crcAt(offset: number): Promise<number | undefined>;
  /** The server has everything before `offset`, for good. */
  acknowledge(offset: number): void;
  /** For the server it is another stream from now on; resolves when that is durable. */
  reborn(rebirth: Rebirth): Promise<void>;
}
