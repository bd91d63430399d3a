import type { ErasureView, RetentionPlan, RetentionView, SpaceView } from '@d4ts/server';
import { table } from '../table.ts';
import { factList } from './fact-list.ts';
import { durationText, sizeText, terminalText, timeText } from './terminal-text.ts';

/** What is kept and what goes, for people. */
export function retentionText(retention: RetentionView): string {
  const { policy, lastRemoval, lastRunAt, error } = retention;
  const facts = factList([
    ...spaceFacts(retention),
    ['rewind window', `${ageText(policy.rewindAgeMs)}, ${limitText(policy.rewindBytes)}: the smaller of them`],
    ['a queue may hold', `${ageText(policy.queueAgeMs)}, ${limitText(policy.queueBytes)}`],
    ['journal', `${limitText(policy.journalTypeBytes)} for each type, ${limitText(policy.journalBytes)} in all`],
    [
      'archive',
      `${ageText(policy.archiveAgeMs)}; ${limitText(policy.archiveSensorBytes)} for each sensor, ${limitText(policy.archiveTypeBytes)} for each type, ${limitText(policy.archiveBytes)} in all`,
    ],
    ['last run', timeText(lastRunAt)],
    ...(error === null ? [] : [['fails with', terminalText(error)] as const]),
    [
      'last removal',
      lastRemoval === null
        ? '-'
        : `${timeText(lastRemoval.at)}, ${sizeText(lastRemoval.bytes)} of type ${terminalText(lastRemoval.topic)} from the ${lastRemoval.store} (${lastRemoval.why})`,
    ],
  ]);
  return [facts, disks(retention), journal(retention), archive(retention), erasures(retention.erasures)]
    .filter((part) => part !== '')
    .join('\n');
}

/** How much space is left, as lines of a list. */
export function spaceFacts({ state, reason, since, forecast, ageRulesPaused }: SpaceView): [string, string][] {
  const states = {
    ok: 'enough',
    pressure: `nearly none since ${timeText(since)}: ${reason}`,
    stopped: `NONE since ${timeText(since)}: ${reason}`,
  };
  return [
    ['space', terminalText(states[state])],
    ['full in', forecastText(forecast)],
    ...(ageRulesPaused === null ? [] : [['age rules', `paused: ${terminalText(ageRulesPaused)}`] as [string, string]]),
  ];
}

/** What would go, for people. */
export function planText({ removals }: RetentionPlan): string {
  if (removals.length === 0) return 'nothing would be removed now\n';
  return table(
    ['FROM', 'WHY', 'TYPE', 'SENSOR OR QUEUE', 'FILES', 'AT MOST', 'WHAT'],
    removals.map(({ store, why, topic, sensor, queue, files, bytes, note }) => [
      store,
      why,
      terminalText(topic),
      sensor ?? queue ?? '-',
      store === 'archive' ? `${files}` : '-',
      store === 'queue' ? '-' : sizeText(bytes),
      terminalText(note),
    ]),
  );
}

/** An erasure, for people. */
export function erasureText({ sensor, doneAt, waitsFor, files, fileBytes, journalBytes }: ErasureView): string {
  const counts = `${files} files (${sizeText(fileBytes)}) and ${sizeText(journalBytes)} of the journal`;
  return doneAt === null
    ? `sensor ${sensor}: so far ${counts}; waits for ${terminalText(waitsFor ?? 'its turn')}\n`
    : `sensor ${sensor}: erased ${counts}\n`;
}

const TEN_YEARS_DAYS = 3_650;

function forecastText({ outcome, days, disk }: SpaceView['forecast']): string {
  if (outcome === 'unknown') return 'not known yet: it is measured for ten minutes first';
  if (outcome === 'never') return 'never, at the present rate';
  if ((days ?? 0) > TEN_YEARS_DAYS) return 'not within ten years, at the present rate';
  return `${durationText((days ?? 0) * 86_400)} at the present rate (${terminalText(disk ?? '')})`;
}

function ageText(ms: number | null): string {
  return ms === null ? 'of any age' : durationText(ms / 1_000);
}

function limitText(bytes: number | null): string {
  return bytes === null ? 'no limit' : sizeText(bytes);
}

function disks({ disks }: RetentionView): string {
  return table(
    ['DISK OF', 'HOLDS', 'STATE', 'SIZE', 'FREE', 'RESERVE', 'INODES FREE', 'RESERVE'],
    disks.map((disk) => [
      terminalText(disk.path),
      disk.holds.join(', '),
      disk.state,
      sizeText(disk.bytes),
      sizeText(disk.freeBytes),
      sizeText(disk.reserveBytes),
      disk.freeInodes === null ? '-' : `${disk.freeInodes}`,
      disk.inodes === null ? '-' : `${disk.reserveInodes}`,
    ]),
  );
}

function journal({ journal }: RetentionView): string {
  if (journal.length === 0) return '';
  const lists = journal.some(({ topic }) => topic.startsWith('files/'))
    ? 'files/TYPE holds the announcements of finished files of a type: where each lies, for queues and the archive\n'
    : '';
  const rows = table(
    ['JOURNAL OF', 'ON DISK', 'SEGMENTS', 'RECORDS', 'OLDEST SEGMENT TO', 'IT WAITS FOR'],
    journal.map(({ topic, bytes, segments, records, oldest, waitsFor }) => [
      terminalText(topic),
      sizeText(bytes),
      `${segments}`,
      `${records}`,
      timeText(oldest),
      waitsFor ?? '-',
    ]),
  );
  return `${rows}${lists}`;
}

function archive({ archive }: RetentionView): string {
  if (archive.length === 0) return '';
  return table(
    ['ARCHIVE OF', 'FILES', 'ON DISK', 'ON HOLD', 'OLDEST FILE TO', 'PRIORITY', 'EACH DAY', 'REMOVED SO FAR'],
    archive.map((files) => [
      terminalText(files.topic),
      `${files.files}`,
      sizeText(files.bytes),
      sizeText(files.heldBytes),
      timeText(files.oldest),
      `${files.priority}`,
      files.bytesPerDay === null ? '-' : sizeText(files.bytesPerDay),
      `${files.removedFiles} files, ${sizeText(files.removedBytes)}`,
    ]),
  );
}

function erasures(erasures: readonly ErasureView[]): string {
  if (erasures.length === 0) return '';
  return table(
    ['ERASURE OF', 'ASKED FOR', 'BY', 'DONE', 'FILES', 'OF THE JOURNAL', 'WAITS FOR'],
    erasures.map((each) => [
      each.sensor,
      timeText(each.requestedAt),
      terminalText(each.by),
      timeText(each.doneAt),
      `${each.files}, ${sizeText(each.fileBytes)}`,
      sizeText(each.journalBytes),
      terminalText(each.waitsFor ?? '-'),
    ]),
  );
}
