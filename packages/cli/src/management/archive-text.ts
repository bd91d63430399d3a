import type { ArchivedFileView } from '@d4ts/server';
import { table } from '../table.ts';
import { factList } from './fact-list.ts';
import { sizeText, terminalText, timeText } from './terminal-text.ts';

const KINDS: Readonly<Record<ArchivedFileView['kind'], string>> = {
  stream: "a part of the stream's bytes",
  rest: 'what was left of a record at the end of the stream',
  record: 'made of one record',
  rejected: 'records that made no files, as they came',
};

const STATES: Readonly<Record<ArchivedFileView['state'], string>> = {
  there: 'there',
  removed: 'removed by somebody',
  changed: 'something else is in its place',
  outside: "outside of the archive's root, which has changed since",
};

const REASONS: Readonly<Record<NonNullable<ArchivedFileView['removedFor']>, string>> = {
  age: 'it was too old',
  'sensor-bytes': "its sensor's limit",
  'type-bytes': "its type's limit",
  'queue-bytes': "a queue's limit",
  'total-bytes': "the archive's limit",
  pressure: 'the disk was nearly full',
  erased: "the sensor's data were erased on request",
};

function stateText({ state, removedAt, removedFor }: ArchivedFileView): string {
  return removedFor === null ? STATES[state] : `removed at ${timeText(removedAt)}: ${REASONS[removedFor]}`;
}

/** Finished files as a table. */
export function archivedFileTable(files: readonly ArchivedFileView[]): string {
  if (files.length === 0) return 'no finished file\n';
  return table(
    ['ID', 'SENSOR', 'NAME', 'FROM', 'TO', 'ON DISK', 'STATE', 'PATH'],
    files.map((file) => [
      terminalText(file.id),
      file.sensor,
      terminalText(file.sensorName) || '-',
      timeText(file.firstTime),
      timeText(file.lastTime),
      sizeText(file.bytes),
      file.removedFor === null ? file.state : `removed: ${file.removedFor}`,
      terminalText(file.path),
    ]),
  );
}

/** All about one finished file. */
export function archivedFileText(file: ArchivedFileView): string {
  return factList([
    ['id', terminalText(file.id)],
    ['path', terminalText(file.path)],
    ['state', stateText(file)],
    ['type', terminalText(file.topic)],
    ['sensor', file.sensor],
    ['name', terminalText(file.sensorName) || '-'],
    ['stream', `${terminalText(file.stream)}, its bytes ${file.fromByte} to ${file.toByte}`],
    ['content', KINDS[file.kind]],
    ['received', `${timeText(file.firstTime)} to ${timeText(file.lastTime)}`],
    ['finished', timeText(file.announcedAt)],
    ['on disk', `${file.bytes} bytes`],
    ['SHA-256', terminalText(file.sha256)],
    ['in queues', file.item ? 'its path' : 'no'],
  ]);
}
