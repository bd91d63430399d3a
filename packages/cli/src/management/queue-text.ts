import type { QueueView, ReplayView } from '@d4ts/server';
import { table } from '../table.ts';
import { factList } from './fact-list.ts';
import { terminalText, timeText } from './terminal-text.ts';

/** Queues as a table. */
export function queueTable(queues: readonly QueueView[]): string {
  if (queues.length === 0) return 'there is no queue: make one with "d4 queue add TYPE"\n';
  return table(
    ['UUID', 'TYPE', 'SENSORS', 'LENGTH', 'TAKEN', 'DROPPED', 'FLUSHED', 'LIMIT', 'DESCRIPTION'],
    queues.map((queue) => [
      queue.uuid,
      terminalText(queue.topic),
      queue.group === null ? 'all' : `${queue.group.length}`,
      `${queue.length}`,
      `${queue.taken}`,
      `${queue.dropped}`,
      `${queue.flushed}`,
      `${queue.limit}`,
      terminalText(queue.description),
    ]),
  );
}

/** All about one queue. */
export function queueText(queue: QueueView): string {
  return factList([
    ['uuid', queue.uuid],
    ['type', terminalText(queue.topic)],
    ['Redis key', terminalText(queue.key)],
    ['description', terminalText(queue.description) || '-'],
    ['sensors', queue.group === null ? 'all' : queue.group.join(' ')],
    ['credential', credentialText(queue)],
    ['length', `${queue.length}`],
    ['taken', `${queue.taken}`],
    ['dropped', `${queue.dropped}`],
    ['flushed', `${queue.flushed}`],
    ['claimed', `${queue.claimed}`],
    ['rewound', `${queue.rewound}`],
    ['replayed', `${queue.replayed}`],
    ['limit', `${queue.limit}`],
    ['made', timeText(queue.createdAt)],
    ...queue.replays.map((replay): [string, string] => ['replay', replayText(replay)]),
  ]);
}

/** A replay, in one line. */
export function replayText(replay: ReplayView): string {
  const { id, state, topic, sensors, from, to, delivered, left, lost, missingFiles, source, error } = replay;
  const whose =
    sensors === null ? 'of all sensors' : sensors.length === 1 ? `of ${sensors[0]}` : `of ${sensors.length} sensors`;
  const rest = left === null ? `reading the ${source}` : `${left} left`;
  return [
    `${id} ${state}: type ${terminalText(topic)} ${whose}, ${timeText(from)} to ${timeText(to)}`,
    `${delivered} taken`,
    ...(state === 'running' ? [rest] : []),
    ...(lost > 0 ? [`${lost} lost`] : []),
    ...(missingFiles > 0 ? [`${missingFiles} files missing`] : []),
    ...(error === null ? [] : [terminalText(error)]),
  ].join(', ');
}

function credentialText({ credential }: QueueView): string {
  if (credential === null) return '-';
  return `issued ${timeText(credential.createdAt)}, may ${credential.push ? 'take and push' : 'take'} items`;
}
