import type { RetentionPolicy } from './port.ts';

/** A length of time in the settings, or `none`. */
export const DURATION_PATTERN = '^([0-9]{1,9}[smhdw]|none)$';
/** Bytes in the settings, a share of the disk, or `none`. */
export const SIZE_PATTERN = '^([0-9]{1,12}([.][0-9]{1,3})?(%|([kMGT]i?)?B)|none)$';

const UNIT_MS: Readonly<Record<string, number>> = {
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};
const SIZE_UNITS = ['', 'k', 'M', 'G', 'T'];
const GIB = 1024 ** 3;
const MIB = 1024 ** 2;

/** The section `retention` of the settings: texts that fit their patterns. */
export interface RetentionSettings {
  readonly rewindAge: string;
  readonly rewindSize: string;
  readonly queueAge: string;
  readonly queueSize: string;
  readonly journalTypeSize: string;
  readonly journalSize: string;
  readonly archiveAge: string;
  readonly archiveSensorSize: string;
  readonly archiveTypeSize: string;
  readonly archiveSize: string;
  readonly reserve: string;
  readonly reserveInodes: string;
}

/** Sizes of file systems, in bytes. */
export interface DiskSizes {
  readonly journal: number;
  readonly archive: number;
}

/** What the settings mean on these disks. */
export function policyOf(settings: RetentionSettings, disks: DiskSizes): RetentionPolicy {
  const { journal, archive } = disks;
  return {
    rewindAgeMs: durationIn(settings.rewindAge) ?? Number.POSITIVE_INFINITY,
    rewindBytes: sizeIn(settings.rewindSize, journal) ?? Number.POSITIVE_INFINITY,
    queueAgeMs: durationIn(settings.queueAge) ?? Number.POSITIVE_INFINITY,
    queueBytes: sizeIn(settings.queueSize, journal) ?? Number.POSITIVE_INFINITY,
    journalTypeBytes: sizeIn(settings.journalTypeSize, journal),
    journalBytes: sizeIn(settings.journalSize, journal),
    archiveAgeMs: durationIn(settings.archiveAge),
    archiveSensorBytes: sizeIn(settings.archiveSensorSize, archive),
    archiveTypeBytes: sizeIn(settings.archiveTypeSize, archive),
    archiveBytes: sizeIn(settings.archiveSize, archive),
  };
}

/** What is free on a file system at least, and where retention and back-pressure begin, in bytes or inodes. */
export interface SpaceMarks {
  /** Below it the archive is not written either. */
  readonly reserve: number;
  /** Below it no sensor is read. What is under way by then fits in between. */
  readonly stop: number;
  /** From here on sensors are read again. */
  readonly resume: number;
  /** Below it retention removes what it may, until `target` is free. */
  readonly pressure: number;
  readonly target: number;
}

/** The marks of a file system's bytes. @param bytes its size */
export function byteMarks(reserve: string, bytes: number): SpaceMarks {
  const auto = Math.min(Math.max(GIB, bytes * 0.02), bytes * 0.1);
  const kept = reserve === 'auto' ? auto : (sizeIn(reserve, bytes) ?? 0);
  return marksAbove(Math.min(kept, bytes), Math.min(128 * MIB, bytes * 0.05));
}

/** The marks of a file system's inodes. @param inodes how many it has; 0 where it does not count them */
export function inodeMarks(reserve: string, inodes: number): SpaceMarks {
  const kept = reserve === 'auto' ? Math.min(10_000, inodes * 0.05) : Number(reserve);
  return marksAbove(Math.min(kept, inodes), Math.min(2_000, inodes * 0.02));
}

function marksAbove(reserve: number, room: number): SpaceMarks {
  const at = (rooms: number) => Math.ceil(reserve + rooms * room);
  return { reserve: Math.ceil(reserve), stop: at(1), resume: at(1.5), pressure: at(2), target: at(3) };
}

function durationIn(text: string): number | undefined {
  const unit = UNIT_MS[text.slice(-1)];
  return text === 'none' || unit === undefined ? undefined : Number(text.slice(0, -1)) * unit;
}

/** @param whole what per cents are of */
function sizeIn(text: string, whole: number): number | undefined {
  const [, number, percent, prefix = ''] = /^([0-9.]+)(?:(%)|([kMGT]i?)?B)$/.exec(text) ?? [];
  if (number === undefined) return undefined;
  if (percent !== undefined) return Math.floor((whole * Number(number)) / 100);
  const base = prefix.endsWith('i') ? 1024 : 1000;
  return Math.floor(Number(number) * base ** SIZE_UNITS.indexOf(prefix.slice(0, 1)));
}
