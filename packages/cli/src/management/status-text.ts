import type { Status } from '@d4ts/server';
import { table } from '../table.ts';
import { factList } from './fact-list.ts';
import { queueTable } from './queue-text.ts';
import { spaceFacts } from './retention-text.ts';
import { sessionTable } from './sensor-text.ts';
import { durationText, sizeText, terminalText, timeText } from './terminal-text.ts';

/** The server as a whole, for people. */
export function statusText(status: Status): string {
  return [
    overview(status),
    refusals(status),
    claimedRefusals(status),
    knocks(status),
    sessionTable(status.sessions),
    status.queues.length === 0 ? '' : queueTable(status.queues),
    unknownConsumers(status),
    topics(status),
    archivedTopics(status),
  ]
    .filter((part) => part !== '')
    .join('\n');
}

function overview(status: Status): string {
  const { addresses, archive, connections, sensors, backPressure, memory } = status;
  const states = Object.entries(sensors.byState).filter(([, count]) => count > 0);
  return factList([
    ['version', terminalText(status.version)],
    ['home', terminalText(status.home)],
    ['up', `${durationText(status.uptimeSeconds)}, since ${timeText(status.startedAt)}`],
    ['mode', status.mode],
    ['sensors at', terminalText(addresses?.listen ?? '-')],
    ['web at', terminalText(addresses === null ? '-' : `https://${addresses.web}/`)],
    ['analyzers at', terminalText(addresses?.redis ?? '-')],
    ['certificate', `SHA-256 ${terminalText(status.certificateSha256)}`],
    ['archive', `${terminalText(archive.root)}${archive.paused ? ', paused: no files are made' : ''}`],
    ['connections', `${connections.sensors} of sensors, ${connections.analyzers} of analyzers`],
    [
      'sensors',
      [`${sensors.total} registered`, ...states.map(([state, count]) => `${count} ${terminalText(state)}`)].join(', '),
    ],
    [
      'back-pressure',
      backPressure.paused > 0
        ? `${backPressure.paused} sessions are held back: the disk is too slow`
        : `none now, ${backPressure.pauses} times so far`,
    ],
    ...spaceFacts(status.space),
    ['memory', `${sizeText(memory.rssBytes)}, of it ${sizeText(memory.arrayBufferBytes)} in buffers`],
  ]);
}

function refusals(status: Status): string {
  const counts = Object.entries(status.refusals).toSorted(([, a], [, b]) => b - a);
  if (counts.length === 0) return '';
  return table(
    ['REFUSED FOR', 'COUNT'],
    counts.map(([code, count]) => [terminalText(code), `${count}`]),
  );
}

function claimedRefusals(status: Status): string {
  if (status.claimedRefusals.length === 0) return '';
  return table(
    ['LATEST UNPROVED', 'COUNT', 'LAST', 'ADDRESS', 'CLAIMS TO BE'],
    status.claimedRefusals.map((each) => [
      each.code,
      `${each.count}`,
      timeText(each.lastAt),
      terminalText(each.address),
      each.claimed ?? '-',
    ]),
  );
}

function knocks(status: Status): string {
  if (status.knocks.length === 0) return '';
  return table(
    ['UNREGISTERED SENSOR', 'TYPE', 'COUNT', 'LAST', 'ADDRESS'],
    status.knocks.map((each) => [
      each.uuid,
      `${each.type}`,
      `${each.count}`,
      timeText(each.lastAt),
      terminalText(each.address),
    ]),
  );
}

function unknownConsumers(status: Status): string {
  if (status.unknownQueueConsumers.length === 0) return '';
  return table(
    ['CONSUMER OF AN UNKNOWN QUEUE', 'COUNT', 'LAST', 'ADDRESS'],
    status.unknownQueueConsumers.map((each) => [
      terminalText(each.key),
      `${each.count}`,
      timeText(each.lastAt),
      terminalText(each.address),
    ]),
  );
}

function topics(status: Status): string {
  if (status.topics.length === 0) return '';
  return table(
    ['TYPE', 'RECORDS', 'ON DISK', 'SEGMENTS', 'DAMAGED'],
    status.topics.map((each) => [
      terminalText(each.topic),
      `${each.records}`,
      sizeText(each.bytes),
      `${each.segments}`,
      each.gaps === 0 ? 'no' : `${each.gaps} places, ${sizeText(each.gapBytes)} set aside`,
    ]),
  );
}

function archivedTopics({ archive }: Status): string {
  if (archive.topics.length === 0) return '';
  return table(
    ['ARCHIVED TYPE', 'BEHIND', 'FILES SINCE THE START', 'MADE NO FILE', 'FAILS WITH'],
    archive.topics.map(({ topic, lagMs, filesFinished, rejected, error }) => [
      terminalText(topic),
      lagMs === 0 ? 'no' : durationText(lagMs / 1000),
      `${filesFinished}`,
      rejectedText(rejected),
      error === null ? '-' : terminalText(error),
    ]),
  );
}

function rejectedText(rejected: Status['archive']['topics'][number]['rejected']): string {
  const reasons = Object.entries(rejected);
  return reasons.length === 0 ? '-' : reasons.map(([reason, count]) => `${count} ${terminalText(reason)}`).join(', ');
}
