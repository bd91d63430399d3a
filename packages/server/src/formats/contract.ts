import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { type Format, MAX_PREAMBLE_BYTES } from './port.ts';

const EMPTY = Buffer.alloc(0);
/** A report that is longer has to be one record, since an entry could not hold it (port.ts, `recordEnd`). */
const MAX_RUN_BYTES = 64 * 1024;

/** A stream, and what has to become of it. */
export interface FormatSample {
  readonly name: string;
  readonly bytes: Buffer;
  /** Records that count in it; a partial one counts where it is a record. */
  readonly records: number;
  /** The items, in latin1, where they are to be compared. */
  readonly items?: readonly string[];
  /** Bytes that are left out; none unless said. */
  readonly skipped?: number;
  /** Records that are cut at the limit. */
  readonly cuts?: number;
  /** Whether it ends within a record. */
  readonly partial?: boolean;
  readonly refused?: boolean;
  /** The preamble of an earlier stream. */
  readonly earlier?: Buffer;
  /** What a reader must have seen at its end. */
  readonly preamble?: Buffer;
}

/** Bytes that make a cutter work, and how many of them to give it at a time. */
export interface HardStream {
  readonly name: string;
  readonly bytes: Buffer;
  readonly pieceBytes: number;
  readonly earlier?: Buffer;
}

/** What a format is tried with. */
export interface FormatSamples {
  readonly streams: readonly FormatSample[];
  readonly generated: fc.Arbitrary<FormatSample>;
  /** So long that a cutter which goes over its bytes again and again would not come to an end. */
  readonly hard: readonly HardStream[];
}

/** What was reported in one call. */
interface Run {
  readonly bytes: Buffer;
  readonly records: number;
  /** What a reader must have seen before it. */
  readonly preamble: Buffer;
  /** Whether it was reported at the end of the stream. */
  readonly atEnd: boolean;
}

/** All that a cutter said of a stream. */
export interface Cut {
  readonly runs: readonly Run[];
  /** Lengths of what was kept (positive) and left out (negative), in turn. */
  readonly ranges: readonly number[];
  /** Offsets in what was kept after which a record was cut. */
  readonly cuts: readonly number[];
  readonly partial: boolean;
  readonly refused: boolean;
  readonly preamble: Buffer;
  readonly kept: Buffer;
}

/**
 * Pushes the pieces of a stream through a new cutter, and holds it to what the port says of every call.
 * @param resumes whether another cutter goes on after the piece with this number, if anything was kept by then
 */
export function cutInPieces(
  format: Format,
  pieces: readonly Buffer[],
  earlier?: Buffer,
  resumes: (piece: number) => boolean = () => false,
): Cut {
  let cutter = format.newCutter(earlier);
  const stream = Buffer.concat(pieces);
  const mostPending = format.maxRecordBytes + (format.preambleAfter === undefined ? 0 : MAX_PREAMBLE_BYTES);
  const runs: Run[] = [];
  const ranges: number[] = [];
  const cuts: number[] = [];
  let kept = 0;
  let skipped = 0;
  let pushed = 0;
  let atEnd = false;
  let seen: Buffer | undefined;
  const range = (bytes: number): void => {
    const last = ranges.at(-1) ?? 0;
    if (last !== 0 && last > 0 === bytes > 0) ranges[ranges.length - 1] = last + bytes;
    else ranges.push(bytes);
  };
  const sink = {
    records(parts: readonly Buffer[], bytes: number, records: number) {
      const run = { bytes: Buffer.concat(parts), records, preamble: cutter.preamble, atEnd };
      if (run.bytes.length !== bytes || bytes === 0) assert.fail(`${bytes} bytes in ${run.bytes.length}`);
      if (seen !== undefined && !run.preamble.equals(seen)) assert.fail('the preamble is not what was reported before');
      seen = format.preambleAfter?.(run.preamble, run.bytes) ?? EMPTY;
      runs.push(run);
      range(bytes);
      kept += bytes;
    },
    cut: () => void cuts.push(kept),
    skipped(bytes: number, why: string) {
      if (bytes <= 0 || why === '') assert.fail(`${bytes} bytes skipped: '${why}'`);
      range(-bytes);
      skipped += bytes;
    },
  };
  let refused = false;
  for (const [number, piece] of pieces.entries()) {
    const given = Buffer.from(piece);
    const refusal = cutter.push(given, sink);
    // What was reported has been copied: the cutter must not need the chunk any more.
    given.fill(0xaa);
    pushed += piece.length;
    if (refused && refusal === undefined) assert.fail('a refusal stays');
    refused = refusal !== undefined;
    if (kept + skipped + cutter.pendingBytes !== pushed) assert.fail('bytes are missing');
    if (cutter.pendingBytes > mostPending) assert.fail(`${cutter.pendingBytes} bytes are held`);
    if (refused || kept === 0 || !resumes(number)) continue;
    const { pendingBytes, preamble, within } = cutter;
    cutter = format.resumeCutter(preamble, within);
    refused = cutter.push(Buffer.from(stream.subarray(pushed - pendingBytes, pushed)), sink) !== undefined;
  }
  const before = kept + skipped;
  atEnd = true;
  const partial = cutter.end(sink);
  assert.equal(cutter.pendingBytes, 0);
  assert.equal(kept + skipped, pushed);
  if (partial) assert.ok(kept + skipped > before, 'a partial record is reported');
  else assert.ok(kept + skipped === before || !refused, 'nothing is reported after a refusal');
  const { preamble } = cutter;
  return { runs, ranges, cuts, partial, refused, preamble, kept: Buffer.concat(runs.map(({ bytes }) => bytes)) };
}

/** The items of whole records, by walking them. */
function itemsIn(format: Format, bytes: Buffer, before: Buffer): string[] {
  const items: string[] = [];
  let preamble = before;
  for (let at = 0; at < bytes.length; ) {
    const end = format.recordEnd(bytes, at, preamble);
    assert.ok(end > at && end <= bytes.length);
    const itemEnd = format.itemEnd(bytes, at, end, preamble);
    assert.ok(itemEnd >= at && itemEnd <= end);
    if (itemEnd > at) items.push(bytes.toString('latin1', at, itemEnd));
    preamble = format.preambleAfter?.(preamble, bytes.subarray(at, end)) ?? preamble;
    at = end;
  }
  return items;
}

/** Whether a run is the rest of a stream that ended within a record, and so none. */
function isRest(format: Format, cut: Cut, run: Run): boolean {
  return format.unfinished === 'rest' && cut.partial && run.atEnd;
}

/** The items of a cut stream; checks that each run holds as many as it says, and that runs can be put together. */
function itemsOf(format: Format, cut: Cut): string[] {
  const items: string[] = [];
  let joined: Run[] = [];
  let kept = 0;
  let since = 0;
  const closeJoined = (): void => {
    const [first] = joined;
    if (first === undefined) return;
    const together = itemsIn(format, Buffer.concat(joined.map(({ bytes }) => bytes)), first.preamble);
    assert.deepEqual(together, items.slice(since));
    joined = [];
    since = items.length;
  };
  for (const run of cut.runs) {
    if (isRest(format, cut, run)) {
      assert.equal(run.records, 0);
      continue;
    }
    const own = itemsIn(format, run.bytes, run.preamble);
    assert.equal(own.length, run.records, 'items in a run');
    if (format.preambleAfter !== undefined && run.bytes.length > MAX_RUN_BYTES) {
      assert.equal(format.recordEnd(run.bytes, 0, run.preamble), run.bytes.length, 'a long run is one record');
    }
    items.push(...own);
    joined.push(run);
    kept += run.bytes.length;
    if (cut.cuts.includes(kept)) closeJoined();
  }
  closeJoined();
  return items;
}

/** What has to be the same however a stream is split. */
export function comparable(format: Format, cut: Cut) {
  const { ranges, cuts, partial, refused, kept, preamble } = cut;
  return { ranges, cuts, partial, refused, kept, preamble, items: itemsOf(format, cut) };
}

/**
 * Archives a cut stream in files that begin at some of its runs, as the archiver does (docs/journal.md, rule 28): each
 * can be read by itself, and without their repeated preambles they are the stream (rule 31).
 */
function checkArchive(format: Format, cut: Cut, begins: (run: number) => boolean): void {
  if (format.archive.kind !== 'rotated') return;
  const files: Run[][] = [];
  for (const [i, run] of cut.runs.entries()) {
    if (isRest(format, cut, run)) continue;
    if (i === 0 || begins(i)) files.push([]);
    files.at(-1)?.push(run);
  }
  for (const runs of files) {
    const preamble = runs[0]?.preamble ?? EMPTY;
    const file = Buffer.concat([preamble, ...runs.map(({ bytes }) => bytes)]);
    const read = cutInPieces(format, [file]);
    const hasRecords = runs.some(({ records }) => records > 0);
    if (!hasRecords && read.kept.length === 0) continue;
    assert.deepEqual(read.kept, file, 'every byte of a file can be read');
    const expected = [
      ...itemsIn(format, preamble, EMPTY),
      ...runs.flatMap((run) => itemsIn(format, run.bytes, run.preamble)),
    ];
    assert.deepEqual(itemsOf(format, read), expected);
  }
}

/** Cuts a stream at the given places, modulo its length. */
export function split(bytes: Buffer, at: readonly number[]): Buffer[] {
  const edges = [0, ...at.map((position) => position % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
  return edges.slice(1).map((edge, i) => bytes.subarray(edges[i], edge));
}

function singly(bytes: Buffer): Buffer[] {
  return Array.from(bytes, (byte) => Buffer.from([byte]));
}

/** A stream with some bytes changed, put in, or taken out. */
const mutation = fc.record({
  kind: fc.constantFrom('change', 'insert', 'remove', 'repeat'),
  at: fc.nat(),
  length: fc.integer({ min: 1, max: 24 }),
  byte: fc.oneof(fc.constantFrom(0, 1, 0x0a, 0x5b, 0xff), fc.nat(255)),
});

function mutated(
  bytes: Buffer,
  mutations: readonly { kind: string; at: number; length: number; byte: number }[],
): Buffer {
  let now = bytes;
  for (const { kind, at, length, byte } of mutations) {
    const start = at % (now.length + 1);
    const end = Math.min(now.length, start + length);
    const put = kind === 'remove' ? EMPTY : Buffer.alloc(kind === 'insert' ? length : end - start, byte);
    const from = kind === 'insert' ? start : end;
    if (kind === 'repeat') now = Buffer.concat([now.subarray(0, end), now.subarray(start)]);
    else now = Buffer.concat([now.subarray(0, start), put, now.subarray(from)]);
  }
  return now;
}

const places = fc.array(fc.nat(), { maxLength: 20 });

/** What every format must do; its test calls this with streams of the format. */
export function testFormatContract(format: Format, { streams, generated, hard }: FormatSamples): void {
  const check = (sample: FormatSample, at: readonly number[]): void => {
    const { bytes, earlier } = sample;
    const whole = cutInPieces(format, [bytes], earlier);
    const expected = comparable(format, whole);
    const randomly = cutInPieces(format, split(bytes, at), earlier);
    assert.deepEqual(comparable(format, randomly), expected);
    if (bytes.length < 5_000)
      assert.deepEqual(comparable(format, cutInPieces(format, singly(bytes), earlier)), expected);
    for (const cut of [whole, randomly]) {
      checkArchive(format, cut, () => false);
      checkArchive(format, cut, () => true);
      checkArchive(format, cut, (run) => at.includes(run));
    }
  };
  const checkResult = (sample: FormatSample): void => {
    const cut = cutInPieces(format, [sample.bytes], sample.earlier);
    const items = itemsOf(format, cut);
    assert.equal(cut.refused, sample.refused ?? false, 'refused');
    assert.equal(items.length, sample.records, 'records');
    assert.equal(sample.bytes.length - cut.kept.length, sample.skipped ?? 0, 'skipped');
    assert.equal(cut.partial, sample.partial ?? false, 'partial');
    assert.equal(cut.cuts.length, sample.cuts ?? 0, 'cuts');
    if (sample.items !== undefined) assert.deepEqual(items, sample.items);
    if (sample.preamble !== undefined) assert.deepEqual(cut.preamble, sample.preamble);
  };

  describe(`${format.name}: the contract of formats`, () => {
    for (const sample of streams) {
      it(`${sample.name}: whole, byte by byte and in random pieces`, () => {
        checkResult(sample);
        fc.assert(
          fc.property(places, (at) => check(sample, at)),
          { numRuns: sample.bytes.length > 100_000 ? 5 : 20 },
        );
      });
    }

    it('generated streams are cut into the records that they were made of, however they are split', () => {
      fc.assert(
        fc.property(generated, places, (sample, at) => {
          checkResult(sample);
          check(sample, at);
        }),
        { numRuns: 150 },
      );
    });

    it('an empty stream is nothing', () => {
      const cut = cutInPieces(format, [EMPTY, EMPTY]);
      assert.deepEqual([cut.runs, cut.ranges, cut.partial, cut.refused], [[], [], false, false]);
    });

    it('takes any bytes, and damaged streams, in any pieces', () => {
      const anything = fc.uint8Array({ maxLength: 600 }).map((bytes) => Buffer.from(bytes));
      const damaged = fc
        .tuple(generated, fc.array(mutation, { minLength: 1, maxLength: 6 }))
        .map(([{ bytes }, mutations]) => mutated(bytes, mutations));
      const earlier = generated.map(({ bytes }) => cutInPieces(format, [bytes]).preamble);
      fc.assert(
        fc.property(fc.oneof(anything, damaged), fc.option(earlier, { nil: undefined }), places, (bytes, before, at) =>
          check({ name: 'damaged', bytes, records: 0, ...(before === undefined ? {} : { earlier: before }) }, at),
        ),
        { numRuns: 150 },
      );
    });

    it('another cutter goes on with a stream from any boundary as if there were one', () => {
      const damaged = fc
        .tuple(generated, fc.array(mutation, { maxLength: 3 }))
        .map(([{ bytes }, mutations]) => mutated(bytes, mutations));
      fc.assert(
        fc.property(damaged, places, fc.array(fc.boolean(), { minLength: 1 }), (bytes, at, resumes) => {
          const resumed = cutInPieces(format, split(bytes, at), undefined, (i) => resumes[i % resumes.length] === true);
          assert.deepEqual(comparable(format, resumed), comparable(format, cutInPieces(format, [bytes])));
        }),
        { numRuns: 300 },
      );
    });

    it('what it has reported does not change while it goes on', () => {
      fc.assert(
        fc.property(generated, places, ({ bytes }, at) => {
          const reported: Buffer[] = [];
          const copies: Buffer[] = [];
          const sink = {
            records(parts: readonly Buffer[]) {
              reported.push(...parts);
              copies.push(...parts.map((part) => Buffer.from(part)));
            },
            cut: () => undefined,
            skipped: () => undefined,
          };
          const cutter = format.newCutter();
          for (const piece of split(bytes, at)) cutter.push(piece, sink);
          cutter.end(sink);
          assert.deepEqual(reported, copies);
        }),
        { numRuns: 50 },
      );
    });

    for (const { name, bytes, pieceBytes, earlier } of hard) {
      it(`${name}: ${bytes.length} bytes, ${pieceBytes} at a time`, () => {
        function* pieces(): Generator<Buffer> {
          for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes);
        }
        const cut = cutInPieces(format, [...pieces()], earlier);
        assert.equal(
          cut.ranges.reduce((sum, range) => sum + Math.abs(range), 0),
          bytes.length,
        );
      });
    }
  });
}
