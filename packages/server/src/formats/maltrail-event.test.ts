import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { isMaltrailEvent, type MaltrailEvent, parseMaltrailEvent, severityOf } from './maltrail-event.ts';

const LINES = readFileSync(new URL('../../../../test/data/maltrail/events.txt', import.meta.url), 'utf8')
  .split('\n')
  .slice(0, -1);

/** As Maltrail writes a field. */
function written(value: string): string {
  const flat = (value === '' ? '-' : value).replaceAll(/[\r\n]/g, ' ');
  return /[ "]/.test(flat) ? `"${flat.replaceAll('"', '""')}"` : flat;
}

function line(event: MaltrailEvent): string {
  const { timestamp, sensor, sourceIp, sourcePort, destinationIp, destinationPort, ...rest } = event;
  const { protocol, type, trail, info, reference } = rest;
  const address = [sourceIp, sourcePort, destinationIp, destinationPort];
  return [timestamp, sensor, ...address, protocol, type, trail, info, reference].map(written).join(' ');
}

test('all lines of a real sensor are events, and are written as they were read', () => {
  assert.equal(LINES.length, 54);
  for (const text of LINES) {
    const event = parseMaltrailEvent(text);
    assert.ok(event, text);
    assert.equal(line(event), text);
    assert.ok(isMaltrailEvent(Buffer.from(text)));
  }
  assert.deepEqual(parseMaltrailEvent(LINES[0] ?? ''), {
    timestamp: '2026-11-22 04:26:15.874827',
    sensor: 'd4-sensor-1',
    sourceIp: '10.0.0.66',
    sourcePort: '50310',
    destinationIp: '8.8.8.8',
    destinationPort: '53',
    protocol: 'UDP',
    type: 'DNS',
    trail: 'evil-test-domain.com',
    info: 'malware (test)',
    reference: '(static)',
  });
});

const ports = fc.oneof(
  fc.constant('-'),
  fc.array(fc.integer({ min: 1, max: 65_535 }), { minLength: 1, maxLength: 5 }).map((list) => list.join(',')),
);
const address = fc.oneof(fc.ipV4(), fc.ipV6());
const words = fc
  .string({ unit: 'grapheme', minLength: 1, maxLength: 40 })
  .map((text) => text.replaceAll(/[\r\n]/g, ' '));
const time = fc.date({ min: new Date('1970-01-01'), max: new Date('2100-01-01'), noInvalidDate: true });
const events: fc.Arbitrary<MaltrailEvent> = fc.record({
  timestamp: time.map((date) => `${date.toISOString().slice(0, 23).replace('T', ' ')}000`),
  sensor: words,
  sourceIp: address,
  sourcePort: ports,
  destinationIp: fc.oneof(
    address,
    fc.array(address, { minLength: 1, maxLength: 3 }).map((list) => list.join(',')),
  ),
  destinationPort: ports,
  protocol: fc.constantFrom('TCP', 'UDP', 'ICMPV6', 'TCP,UDP'),
  type: fc.constantFrom('DNS', 'IP', 'URL', 'UA', 'HTTP', 'PORT', 'IPORT', 'PATH', 'CERT'),
  trail: words,
  info: words,
  reference: fc.constantFrom('(static)', '(remote custom)', 'abuse.ch', 'a feed of "mine"'),
});

test('what Maltrail may write is read back as it was', () => {
  fc.assert(fc.property(events, (event) => assert.deepEqual(parseMaltrailEvent(line(event)), { ...event })));
});

test('halves of a line, and lines with something before or behind, are no events', () => {
  for (const text of LINES) {
    // What is cut off within a feed's name cannot be told from another feed; all of these end in a parenthesis.
    for (let at = 0; at < text.length; at++)
      assert.ok(!isMaltrailEvent(Buffer.from(text.slice(0, at))), text.slice(0, at));
    for (let at = 1; at < text.length; at++) assert.ok(!isMaltrailEvent(Buffer.from(text.slice(at))), text.slice(at));
    for (const other of [
      `1764000000 ${text}`,
      ` ${text}`,
      `${text} `,
      `${text} x`,
      `${text}${text}`,
      `${text} ${text}`,
    ]) {
      assert.equal(parseMaltrailEvent(other), undefined, other);
    }
  }
});

test('what else a sensor prints is no event', () => {
  const lines = [
    '',
    'Maltrail (sensor) #v3.1.2 {https://maltrail.github.io}',
    "[i] using configuration file '/opt/maltrail/maltrail.conf'",
    '[!] in case of any problems with packet capture, please install libpcap',
    '[?] at least 384MB of free memory required',
    '1764000000 anything',
    '"2026-11-22 04:26:15.874827"',
    '"2026-02-30 04:26:15.874827" s 10.0.0.1 1 8.8.8.8 53 UDP DNS a b (static)',
    '"2026-11-22 24:26:15.874827" s 10.0.0.1 1 8.8.8.8 53 UDP DNS a b (static)',
    '"2026-11-22 04:26:15.874827" s 10.0.0 1 8.8.8.8 53 UDP DNS a b (static)',
    '"2026-11-22 04:26:15.874827" s 10.0.0.1 70000 8.8.8.8 53 UDP DNS a b (static)',
    '"2026-11-22 04:26:15.874827" s 10.0.0.1 1 8.8.8.8 53 UDP dns a b (static)',
    '"2026-11-22 04:26:15.874827"  s 10.0.0.1 1 8.8.8.8 53 UDP DNS a b (static)',
    '"2026-11-22 04:26:15.874827" s 10.0.0.1 1 8.8.8.8 53 UDP DNS a" b (static)',
    '"2026-11-22 04:26:15.874827" s 10.0.0.1 1 8.8.8.8 53 UDP DNS "" b (static)',
  ];
  for (const text of lines) assert.ok(!isMaltrailEvent(Buffer.from(text)), text);
  fc.assert(fc.property(fc.string({ unit: 'binary-ascii' }), (text) => parseMaltrailEvent(text) === undefined));
});

test('severities are those of the pages of Maltrail', () => {
  const severity = (info: string, reference = '(static)') => severityOf({ info, reference });
  assert.deepEqual(
    [
      severity('malware (test)'),
      severity('sinkholed by testsink (malware)'),
      severity('Potential Malware Site'),
      severity('malware distribution (suspicious)'),
      severity('mass scanner'),
      severity('mass scanner', '(custom)'),
      severity('anything', '(remote custom)'),
      severity('known attacker', 'malwaredomainlist.com'),
      severity('known attacker', 'blocklist.de'),
      severity('bad reputation (malware)'),
      severity('parked site (suspicious)'),
    ],
    ['high', 'high', 'medium', 'medium', 'low', 'high', 'high', 'high', 'low', 'high', 'medium'],
  );
});
