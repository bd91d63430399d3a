import Type, { type Static } from 'typebox';
import { SEVERITIES } from '../formats/maltrail-event.ts';
import { THREAT_ORDERS } from '../maltrail/threat-store.ts';
import { closed, count, time, words } from './schema-parts.ts';

const UUID = '5f2b3c1e-8d44-4c36-9a1f-0c1d2e3f4a5b';
const AT = 1_795_321_575_000;
const severity = words(SEVERITIES, 'As on the pages of Maltrail itself, from the words of info and reference');
const text = (description: string, example: string) => Type.String({ description, examples: [example] });
const next = Type.Union([Type.String(), Type.Null()], { description: 'To be given as `after`; null at the end' });

const bySeverity = {
  high: count('Events of severity high'),
  medium: count('Events of severity medium'),
  low: count('Events of severity low'),
};

export const ThreatView = closed('MaltrailThreat', {
  source: text('The source address; `-` where there is none', '10.0.0.66'),
  trail: text('What was seen', 'evil-test-domain.com'),
  severity,
  type: text('What kind of trail it is', 'DNS'),
  info: text('What is known of the trail, as the last event of that severity says', 'malware (test)'),
  reference: text('Where that is known from', '(static)'),
  events: count('Events'),
  first: time('When the first event came'),
  last: time('When the last event came'),
  firstStamp: text("The earliest time in the events, in the sensor's own time", '2026-11-22 04:26:15.874827'),
  lastStamp: text("The latest time in the events, in the sensor's own time", '2026-11-22 04:26:15.879605'),
  sensors: Type.Array(
    closed('MaltrailSighting', {
      sensor: text('UUID', UUID),
      name: text('What it calls itself', 'd4-sensor-1'),
      events: count('Events of this threat'),
    }),
    { description: 'Who has seen it, those with the most events first; at most 100' },
  ),
});
export type ThreatView = Static<typeof ThreatView>;

export const ThreatPageView = Type.Object(
  { items: Type.Array(ThreatView), next },
  {
    title: 'MaltrailThreatPage',
    additionalProperties: false,
    description: 'A page may have fewer items than asked for, or none, before the last one',
    examples: [
      {
        items: [
          {
            source: '10.0.0.66',
            trail: 'evil-test-domain.com',
            severity: 'high',
            type: 'DNS',
            info: 'malware (test)',
            reference: '(static)',
            events: 3,
            first: AT,
            last: AT + 5_000,
            firstStamp: '2026-11-22 04:26:15.874827',
            lastStamp: '2026-11-22 04:26:15.879605',
            sensors: [{ sensor: UUID, name: 'd4-sensor-1', events: 3 }],
          },
        ],
        next: null,
      },
    ],
  },
);
export type ThreatPage = Static<typeof ThreatPageView>;

const filter = {
  from: Type.Optional(time('Of this time or later')),
  to: Type.Optional(time('Before this time')),
  source: Type.Optional(Type.String({ maxLength: 100, description: 'Of this source address' })),
  trail: Type.Optional(Type.String({ maxLength: 2_000, description: 'Of exactly this trail' })),
  severity: Type.Optional(
    Type.String({
      pattern: '^(low|medium|high)(,(low|medium|high)){0,2}$',
      description: 'Of one of these severities, with commas between them',
      examples: ['high,medium'],
    }),
  ),
  sensor: Type.Optional(Type.String({ description: 'Seen by this sensor: its UUID' })),
  text: Type.Optional(
    Type.String({ minLength: 1, maxLength: 200, description: 'With this text in it, whatever the case' }),
  ),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000, description: 'At most so many; 100 if not given' })),
  after: Type.Optional(Type.String({ maxLength: 100, description: 'The `next` of the answer before' })),
};

export const ThreatQuery = Type.Object(
  {
    ...filter,
    sort: Type.Optional(words(THREAT_ORDERS, '`last` if not given')),
    direction: Type.Optional(words(['ascending', 'descending'], '`descending` if not given')),
  },
  { additionalProperties: false },
);
export type ThreatQuery = Static<typeof ThreatQuery>;

export const MaltrailEventQuery = Type.Object(filter, { additionalProperties: false });
export type MaltrailEventQuery = Static<typeof MaltrailEventQuery>;

export const MaltrailEventView = closed('MaltrailEvent', {
  time: time('When it came'),
  sensor: text("The sensor's UUID", UUID),
  severity,
  timestamp: text("In the sensor's own time", '2026-11-22 04:26:15.874827'),
  sensorName: text('What the sensor calls itself', 'd4-sensor-1'),
  sourceIp: text('`-` where there is none, here and below', '10.0.0.66'),
  sourcePort: text('This and the next three may be lists with commas', '50310'),
  destinationIp: text('', '8.8.8.8'),
  destinationPort: text('', '53'),
  protocol: text('', 'UDP'),
  type: text('What kind of trail it is', 'DNS'),
  trail: text('What was seen', 'evil-test-domain.com'),
  info: text('What is known of the trail', 'malware (test)'),
  reference: text('Where that is known from', '(static)'),
  line: Type.String({ description: 'The line as it came' }),
});
export type MaltrailEventView = Static<typeof MaltrailEventView>;

export const MaltrailEventPage = closed('MaltrailEventPage', {
  items: Type.Array(MaltrailEventView),
  next,
  heldFrom: Type.Union([Type.Integer({ minimum: 0 }), Type.Null()], {
    description:
      'When the oldest line came that the journal still has, ms since 1970; what came before is in the archive alone. null where there is nothing',
  }),
  from: time('The time range that was looked at: from'),
  to: time('… and before'),
});
export type MaltrailEventPage = Static<typeof MaltrailEventPage>;

export const MaltrailSummaryQuery = Type.Object(
  {
    from: Type.Optional(time('From the day of this time (UTC) on; 30 days back if not given')),
    to: Type.Optional(time('Before this time; now if not given')),
  },
  { additionalProperties: false },
);

export const MaltrailSummary = closed('MaltrailSummary', {
  from: time('The days that are summed up (UTC): from'),
  to: time('… and before'),
  events: count('Events in these days'),
  bySeverity: closed('MaltrailSeverities', bySeverity),
  byType: Type.Array(closed('MaltrailTypeCount', { type: text('Kind of trail', 'DNS'), events: count('Events') })),
  bySensor: Type.Array(closed('MaltrailSensorCount', { sensor: text('UUID', UUID), events: count('Events') })),
  byDay: Type.Array(
    closed('MaltrailDayCount', { start: time('When the day (UTC) begins'), events: count('Events'), ...bySeverity }),
  ),
  threats: count('Threats that are kept'),
  total: closed('MaltrailTotal', {
    events: count('Events since the counting began'),
    others: count('Lines that were no events: kept in the archive, not sent to Maltrail'),
    missed: count('Entries of the journal that were removed before they were read'),
    tooOld: count('Threats forgotten because they were not seen for 90 days'),
    tooMany: count('Threats forgotten because there were more than 1,000,000'),
  }),
});
export type MaltrailSummary = Static<typeof MaltrailSummary>;
