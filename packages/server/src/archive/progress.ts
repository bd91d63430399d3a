import Type, { type Static } from 'typebox';
import Value from 'typebox/value';

const ProgressSchema = Type.Object({
  /** The first entry of the topic that may hold bytes which are in no finished file. */
  sequence: Type.Integer({ minimum: 0 }),
  /** Announcements before this one are in the tables below. */
  announcements: Type.Integer({ minimum: 0 }),
  /** Streams of which something behind `sequence` is archived. */
  streams: Type.Array(
    Type.Object({
      id: Type.String(),
      /** Bytes before this are in announced files; for records that make no files, `rejectedTo`. */
      archivedTo: Type.Integer({ minimum: 0 }),
      rejectedTo: Type.Integer({ minimum: 0 }),
      /** The preamble (base64) as of this byte, where one is known. */
      preamble: Type.Optional(Type.Object({ at: Type.Integer({ minimum: 0 }), bytes: Type.String() })),
    }),
  ),
  /** Names of files that a file which begins now could want, and the times in them (ms). */
  names: Type.Array(Type.Tuple([Type.String(), Type.Number()])),
});

/** Where the archiver of a topic goes on after a restart. */
export type Progress = Static<typeof ProgressSchema>;

/** The role under which the archiver of a topic saves its progress. */
export function progressRole(topic: string): string {
  return `archive ${topic}`;
}

const START: Progress = { sequence: 0, announcements: 0, streams: [], names: [] };

/** Reads a saved progress; from the start where there is none, or one that cannot be read: what is done again is the same. */
export function progressFrom(text: string | undefined): Progress {
  if (text === undefined) return START;
  try {
    const value: unknown = JSON.parse(text);
    return Value.Check(ProgressSchema, value) ? value : START;
  } catch {
    return START;
  }
}
