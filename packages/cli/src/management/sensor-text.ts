import type { SensorView } from '@d4ts/server';
import { table } from '../table.ts';
import { factList } from './fact-list.ts';
import { durationText, sizeText, terminalText, timeText } from './terminal-text.ts';

/** The state of a sensor in a few words. */
function stateText({ state, refusedFor }: SensorView): string {
  if (state === 'refused') return `refused: ${refusedFor}`;
  return state === 'cloned' ? 'cloned?' : state;
}

/** Sensors as a table. */
export function sensorTable(sensors: readonly SensorView[]): string {
  if (sensors.length === 0) return 'no sensor is registered: add one with "d4 sensor add --uuid U --key K"\n';
  return table(
    ['UUID', 'STATE', 'TYPES', 'LAST SEEN', 'ADDRESS', 'NAME', 'DESCRIPTION'],
    sensors.map((sensor) => [
      sensor.uuid,
      stateText(sensor),
      sensor.topics.map(({ topic }) => terminalText(topic)).join(',') || '-',
      timeText(sensor.lastSeen),
      terminalText(sensor.lastAddress ?? '-'),
      terminalText(sensor.name) || '-',
      terminalText(sensor.description),
    ]),
  );
}

/** All about one sensor. */
export function sensorText(sensor: SensorView): string {
  const list = factList([
    ['uuid', sensor.uuid],
    ['state', stateText(sensor)],
    ['registration', sensor.registration + (sensor.unproven ? ' (registered itself, with the default key)' : '')],
    ['description', terminalText(sensor.description) || '-'],
    ['name', terminalText(sensor.name) || '-'],
    ['tags', terminalText(sensor.tags.join(', ')) || '-'],
    ['mail', terminalText(sensor.mail) || '-'],
    ...(sensor.previousKeyUntil === null
      ? []
      : ([['key before', `holds until ${timeText(sensor.previousKeyUntil)}`]] as const)),
    ['third party', sensor.thirdParty ? 'yes' : 'no'],
    ['rate', sensor.maxBytesPerSecond === null ? 'unlimited' : `${sizeText(sensor.maxBytesPerSecond)}/s`],
    ['in the archive', archiveText(sensor)],
    [
      'expected',
      sensor.expectedIntervalSeconds === null ? 'not watched' : `every ${durationText(sensor.expectedIntervalSeconds)}`,
    ],
    ['daily quota', sensor.maxBytesPerDay === null ? 'unlimited' : sizeText(sensor.maxBytesPerDay)],
    ['today', sizeText(sensor.bytesToday)],
    ['payload limit', sensor.maxPayloadBytes === null ? "the server's" : `${sensor.maxPayloadBytes} bytes`],
    ['sessions', sensor.acknowledgedOnly ? 'acknowledged ones only' : 'with or without acknowledgement'],
    ['registered', timeText(sensor.createdAt)],
    ['first seen', timeText(sensor.firstSeen)],
    ['last seen', timeText(sensor.lastSeen)],
    ['last address', terminalText(sensor.lastAddress ?? '-')],
  ]);
  return [list, topics(sensor), refusals(sensor), sessionTable(sensor.sessions), openStreamTable(sensor)]
    .filter((part) => part !== '')
    .join('\n');
}

function archiveText({ hold, archivePriority, archiveMaxAgeMs, archiveMaxBytes }: SensorView): string {
  return [
    ...(hold ? ['on hold: nothing is removed'] : []),
    `priority ${archivePriority}`,
    ...(archiveMaxAgeMs === null ? [] : [`kept for ${durationText(archiveMaxAgeMs / 1_000)}`]),
    ...(archiveMaxBytes === null ? [] : [`at most ${sizeText(archiveMaxBytes)}`]),
  ].join(', ');
}

function topics({ topics }: SensorView): string {
  if (topics.length === 0) return '';
  return table(
    ['TYPE', 'FRAMES', 'BYTES', 'RECORDS', 'LEFT OUT', 'CUT', 'SESSIONS', 'FIRST SEEN', 'LAST SEEN'],
    topics.map((topic) => [
      terminalText(topic.topic),
      `${topic.frames}`,
      sizeText(topic.bytes),
      `${topic.records}`,
      sizeText(topic.skippedBytes),
      `${topic.cutRecords}`,
      `${topic.sessions}`,
      timeText(topic.firstSeen),
      timeText(topic.lastSeen),
    ]),
  );
}

/** Verified refusals, and those that only claim to be of this sensor. */
function refusals({ refusals, claimedRefusals }: SensorView): string {
  if (refusals.length + claimedRefusals.length === 0) return '';
  const byTime = (a: { lastAt: number }, b: { lastAt: number }) => b.lastAt - a.lastAt;
  return table(
    ['REFUSED FOR', 'COUNT', 'LAST', 'ADDRESS', ''],
    [
      ...refusals
        .toSorted(byTime)
        .map((each) => [each.code, `${each.count}`, timeText(each.lastAt), terminalText(each.lastAddress), 'verified']),
      ...claimedRefusals
        .toSorted(byTime)
        .map((each) => [each.code, `${each.count}`, timeText(each.lastAt), terminalText(each.address), 'claimed']),
    ],
  );
}

/** Live sessions as a table; nothing where there is none. */
export function sessionTable(sessions: SensorView['sessions']): string {
  if (sessions.length === 0) return '';
  return table(
    ['SESSION OF', 'TYPE', 'FROM', 'SINCE', 'LAST FRAME', 'FRAMES', 'BYTES', 'RECORDS', 'ACKNOWLEDGED'],
    sessions.map((session) => [
      session.sensor,
      terminalText(session.topic),
      terminalText(
        session.address.includes(':') ? `[${session.address}]:${session.port}` : `${session.address}:${session.port}`,
      ),
      timeText(session.since),
      timeText(session.lastFrameAt),
      `${session.frames}`,
      sizeText(session.bytes),
      `${session.records}`,
      acknowledgedText(session.acknowledged),
    ]),
  );
}

/** How far a session's stream is acknowledged; a session of a v1 client is not. */
function acknowledgedText(acknowledged: SensorView['sessions'][number]['acknowledged']): string {
  if (acknowledged === undefined) return 'no';
  const { acknowledgedTo, receivedTo, gaps, gapBytes } = acknowledged;
  const missing = gaps === 0 ? '' : `, ${gaps} gaps of ${sizeText(gapBytes)}`;
  return `${sizeText(acknowledgedTo)} of ${sizeText(receivedTo)}${missing}`;
}

/** Acknowledged streams that have not ended; nothing where there is none. */
function openStreamTable({ openStreams }: SensorView): string {
  if (openStreams.length === 0) return '';
  return table(
    ['OPEN STREAM', 'TYPE', 'LENGTH', 'LAST', 'AFTER'],
    openStreams.map(({ stream, topic, offset, lastAt, previous }) => [
      stream,
      terminalText(topic),
      sizeText(offset),
      timeText(lastAt),
      previous ?? '-',
    ]),
  );
}
