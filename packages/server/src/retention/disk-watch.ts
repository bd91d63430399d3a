import { stat, statfs } from 'node:fs/promises';
import type { Logger } from 'pino';
import type { Amount } from './archive-plan.ts';
import { byteMarks, inodeMarks, type SpaceMarks } from './policy.ts';
import type { DiskStatus, SpaceState } from './port.ts';

/** What a file system says of itself. */
export interface DiskFacts {
  readonly bytes: number;
  readonly freeBytes: number;
  /** 0 where it does not count them. */
  readonly inodes: number;
  readonly freeInodes: number;
}

/** What follows from how much is free. */
export interface SpaceVerdict {
  readonly state: SpaceState;
  /** Whether not even the archive may be written. */
  readonly full: boolean;
  /** What is to become free. */
  readonly wanted: Amount;
}

const MIB = 1024 ** 2;
const NOTHING_WANTED: Amount = { bytes: 0, inodes: 0 };

/**
 * What to do about a disk. What was begun goes on until there is a little more space than where it began.
 * @param promised bytes that will be written to it in any case: the archive has to make files of what the journal holds,
 *   or the journal could never let go of it
 */
export function judgeSpace(
  facts: DiskFacts,
  settings: { readonly reserve: string; readonly reserveInodes: string },
  before: SpaceVerdict | undefined,
  promised = 0,
): SpaceVerdict & { readonly marks: { readonly bytes: SpaceMarks; readonly inodes: SpaceMarks } } {
  const marks = {
    bytes: byteMarks(settings.reserve, facts.bytes),
    inodes: inodeMarks(settings.reserveInodes, facts.inodes),
  };
  const isBelow = (mark: keyof SpaceMarks) =>
    facts.freeBytes - promised < marks.bytes[mark] || (facts.inodes > 0 && facts.freeInodes < marks.inodes[mark]);
  const stopped = isBelow(before?.state === 'stopped' ? 'resume' : 'stop');
  const fewInodes = facts.inodes > 0 && facts.freeInodes < marks.inodes[before?.full === true ? 'stop' : 'reserve'];
  const wanted = isBelow('pressure')
    ? {
        bytes: Math.max(0, marks.bytes.target + promised - facts.freeBytes),
        inodes: facts.inodes > 0 ? Math.max(0, marks.inodes.target - facts.freeInodes) : 0,
      }
    : NOTHING_WANTED;
  return {
    state: stopped ? 'stopped' : isBelow('pressure') ? 'pressure' : 'ok',
    full: facts.freeBytes < marks.bytes[before?.full === true ? 'stop' : 'reserve'] || fewInodes,
    wanted,
    marks,
  };
}

/** A file system that the server writes to. */
export class DiskWatch {
  readonly path: string;
  readonly holds: readonly ('journal' | 'archive')[];
  readonly #settings: { readonly reserve: string; readonly reserveInodes: string };
  #facts: DiskFacts;
  #promised = 0;
  #verdict: ReturnType<typeof judgeSpace>;

  private constructor(
    path: string,
    holds: DiskWatch['holds'],
    settings: { readonly reserve: string; readonly reserveInodes: string },
    facts: DiskFacts,
  ) {
    this.path = path;
    this.holds = holds;
    this.#settings = settings;
    this.#facts = facts;
    this.#verdict = judgeSpace(facts, settings, undefined);
  }

  /** One for each file system of these folders, which must exist. */
  static async open(
    folders: { readonly journal: string; readonly archive: string },
    settings: { readonly reserve: string; readonly reserveInodes: string },
  ): Promise<DiskWatch[]> {
    const { journal, archive } = folders;
    const isOne = (await stat(journal)).dev === (await stat(archive)).dev;
    const whole = new DiskWatch(
      journal,
      isOne ? ['journal', 'archive'] : ['journal'],
      settings,
      await factsOf(journal),
    );
    return isOne ? [whole] : [whole, new DiskWatch(archive, ['archive'], settings, await factsOf(archive))];
  }

  get facts(): DiskFacts {
    return this.#facts;
  }

  get verdict(): ReturnType<typeof judgeSpace> {
    return this.#verdict;
  }

  /** Looks again. What cannot be looked at stays as it was. @param promised as `judgeSpace` takes it */
  async look(log: Logger, promised = 0): Promise<void> {
    try {
      this.#facts = await factsOf(this.path);
    } catch (error) {
      log.error({ err: error, path: this.path }, 'cannot find out how much space is left');
      return;
    }
    this.#promised = promised;
    this.#verdict = judgeSpace(this.#facts, this.#settings, this.#verdict, promised);
  }

  /** How many bytes may be written before it is time to look again. */
  allowance(): number {
    const { marks } = this.#verdict;
    const freeBytes = this.#facts.freeBytes - this.#promised;
    const next = freeBytes > marks.bytes.pressure ? marks.bytes.pressure : marks.bytes.stop;
    return Math.max(256 * 1024, (freeBytes - next) / 4);
  }

  /** Bytes from one mark to the next. */
  get step(): number {
    const { reserve, stop } = this.#verdict.marks.bytes;
    return stop - reserve;
  }

  status(): DiskStatus {
    const { bytes, freeBytes, inodes, freeInodes } = this.#facts;
    const { state, marks } = this.#verdict;
    const countsInodes = inodes > 0;
    return {
      path: this.path,
      holds: this.holds,
      state,
      bytes,
      freeBytes,
      reserveBytes: marks.bytes.reserve,
      inodes: countsInodes ? inodes : undefined,
      freeInodes: countsInodes ? freeInodes : undefined,
      reserveInodes: countsInodes ? marks.inodes.reserve : 0,
    };
  }
}

/**
 * At which length segments of the journal are sealed: 64 MiB, or on a small disk a fiftieth of it, because only whole
 * segments can go.
 */
export async function segmentBytesFor(path: string): Promise<number> {
  const { bytes } = await factsOf(path);
  return Math.max(MIB, Math.min(64 * MIB, Math.floor(bytes / 50)));
}

async function factsOf(path: string): Promise<DiskFacts> {
  const { bsize, blocks, bavail, files, ffree } = await statfs(path);
  return { bytes: bsize * blocks, freeBytes: bsize * bavail, inodes: files, freeInodes: ffree };
}
