import { type AckOpen, PREVIOUS_CAUSE, type RefusalCode, type SensorId } from '@d4ts/protocol';
import type { Logger } from 'pino';
import type { Format } from '../formats/port.ts';
import { ENTRY_FLAG, ENTRY_KIND, type Journal, type StreamPosition, type TopicLog } from '../journal/port.ts';
import type { EndedStreams } from '../registry/port.ts';
import { decideResume, type ServerPart } from './ack-resume.ts';
import type { AcknowledgedStream, ResumedStream } from './acknowledged-stream.ts';
import { resumedStream } from './found-stream.ts';
import type { StreamStart } from './session.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
/** How long the end of a stream is known (docs/journal.md, rule 13). */
const REMEMBER_MS = 90 * DAY_MS;

/** Who has a stream open. */
interface Holder {
  /** Ends the connection, because another one goes on with the stream. */
  replace(): void;
}

/** A connection's hold on a stream: while it lasts, no other goes on with it. */
export interface StreamClaim {
  /** To be called when nothing more of the stream is on its way to the journal. */
  release(): void;
}

/** What is to become of an OPEN. */
export type FoundStream =
  | { readonly kind: 'ended'; readonly offset: number }
  | {
      readonly kind: 'open';
      readonly claim: StreamClaim;
      /** Where the client goes on, and the CRC-32 up to there as far as it is known. */
      readonly offset: number;
      readonly crc: number | undefined;
      readonly stream: Pick<AcknowledgedStream, 'id' | 'previous' | 'resumed'>;
    };

/** What the streams need of the rest of the server. */
export interface AckStreamsOptions {
  readonly journal: Pick<Journal, 'open'>;
  readonly ended: EndedStreams;
  readonly formats: (topic: string) => Format;
  readonly log: Logger;
}

interface Claim extends StreamClaim {
  readonly sensor: SensorId;
  readonly holder: Holder;
  readonly released: Promise<void>;
}

/** All acknowledged streams: who has which, and where each goes on (docs/journal.md, rules 39 to 42). */
export class AckStreams {
  readonly #options: AckStreamsOptions;
  /** The latest claim on each stream, by topic and id. */
  readonly #claims = new Map<string, Claim>();
  #forgotAt = Number.NEGATIVE_INFINITY;

  constructor(options: AckStreamsOptions) {
    this.#options = options;
  }

  /**
   * Finds the stream of a verified OPEN, once whoever had it open has let go of it.
   * @throws {D4Error} where the journal cannot be opened or read
   */
  async find(start: StreamStart, open: AckOpen, holder: Holder): Promise<FoundStream | RefusalCode> {
    const { topic, sensor } = start;
    const before = this.#claims.get(keyOf(topic, open.stream));
    if (before !== undefined && before.sensor !== sensor) return 'stream-not-yours';
    const claim = this.#claim(topic, open.stream, sensor, holder);
    before?.holder.replace();
    await before?.released;
    try {
      const isReplaced = this.#claims.get(keyOf(topic, open.stream)) !== claim;
      const found = isReplaced ? 'stream-replaced' : await this.#lookUp(start, open, claim);
      if (typeof found === 'string' || found.kind === 'ended') claim.release();
      return found;
    } catch (error) {
      claim.release();
      throw error;
    }
  }

  /** Notes the end that a client has told, before the journal has it: what the journal knows no more has ended there. */
  noteEnd(start: StreamStart, id: string, total: number): Promise<void> {
    const { sensor, topic } = start;
    return this.#options.ended.put(id, { sensor, topic, total }, Date.now());
  }

  /** Forgets ends that are long past. @param now wall clock, ms */
  tick(now: number): void {
    if (now - this.#forgotAt < DAY_MS) return;
    this.#forgotAt = now;
    this.#options.ended.forgetBefore(now - REMEMBER_MS).catch((error: unknown) => {
      this.#options.log.error(
        { err: error },
        'ends of acknowledged streams cannot be forgotten: trying again tomorrow',
      );
    });
  }

  #claim(topic: string, id: string, sensor: SensorId, holder: Holder): Claim {
    const key = keyOf(topic, id);
    const { promise: released, resolve } = Promise.withResolvers<void>();
    const claim: Claim = {
      sensor,
      holder,
      released,
      release: () => {
        if (this.#claims.get(key) === claim) this.#claims.delete(key);
        resolve();
      },
    };
    this.#claims.set(key, claim);
    return claim;
  }

  async #lookUp(start: StreamStart, open: AckOpen, claim: StreamClaim): Promise<FoundStream | RefusalCode> {
    const { topic, sensor } = start;
    const { journal, ended, formats } = this.#options;
    const log = await journal.open(topic);
    const position = log.lastOf(open.stream);
    const end = position === undefined ? ended.get(open.stream) : undefined;
    if ((position?.definition.sensor ?? end?.sensor ?? sensor) !== sensor) return 'stream-not-yours';
    if (end !== undefined && end.topic !== topic) return 'stream-not-yours';
    const decision = decideResume(partOf(position, end?.total), open);
    if (decision.kind === 'refuse') return decision.code;
    if (decision.kind === 'ended') return decision;
    const { previous, previousCause } = open;
    if (previous !== undefined && previousCause === PREVIOUS_CAUSE.restarted) await this.#abort(log, start, previous);
    const { offset, lost } = decision;
    const format = formats(topic);
    const known = position === undefined ? undefined : await resumedStream(log, position, format);
    const resumed = lost === 0 ? known : behindLoss(known, open, format);
    const crc = lost === 0 ? (known === undefined ? 0 : known.state.crc) : open.crc;
    if (lost > 0) {
      const fields = { sensor, topic, stream: open.stream, from: offset - lost, to: offset, bytes: lost };
      this.#options.log.error(fields, 'bytes of a stream that were acknowledged are not in the journal: a gap');
    }
    return { kind: 'open', claim, offset, crc, stream: { id: open.stream, previous, resumed } };
  }

  /** The client that sent a stream was started anew: nobody goes on with it (rule 42). */
  async #abort(log: TopicLog, start: StreamStart, id: string): Promise<void> {
    const { sensor, topic } = start;
    const before = this.#claims.get(keyOf(topic, id));
    if (before !== undefined && before.sensor !== sensor) return;
    const claim = this.#claim(topic, id, sensor, { replace: () => undefined });
    before?.holder.replace();
    await before?.released;
    try {
      const position = log.lastOf(id);
      if (position === undefined || position.definition.sensor !== sensor) return;
      const { definition, offset, state } = position;
      await this.noteEnd(start, id, offset);
      const close = { kind: ENTRY_KIND.close, flags: ENTRY_FLAG.aborted, pieces: [], bytes: 0, records: 0 };
      await log.append(definition, offset, [close], state);
    } finally {
      claim.release();
    }
  }
}

/** What `decideResume` needs of a stream. */
function partOf(position: StreamPosition | undefined, total: number | undefined): ServerPart | undefined {
  if (position !== undefined) return { kind: 'open', offset: position.offset, crc: position.state.crc };
  return total === undefined ? undefined : { kind: 'ended', total };
}

/** How a stream goes on where the client's first byte lies behind the journal's last. */
function behindLoss(known: ResumedStream | undefined, open: AckOpen, format: Format): ResumedStream {
  const empty = Buffer.alloc(0);
  // What the client gave is read before it is believed.
  const given = format.preambleAfter?.(empty, open.preamble) ?? empty;
  const preamble = given.length > 0 ? given : (known?.state.preamble ?? empty);
  const offset = known?.offset ?? 0;
  return { offset, state: { crc: known?.state.crc, preamble }, lostTo: { offset: open.from, crc: open.crc } };
}

function keyOf(topic: string, id: string): string {
  return `${topic} ${id}`;
}
