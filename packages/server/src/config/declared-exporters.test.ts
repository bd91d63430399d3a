import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseExporters, parseTargetSettings } from './declared-exporters.ts';

const UUID = '5f2b3c1e-8d44-4c36-9a1f-0c1d2e3f4a5b';

test('reads exporters with settings in dashed words', () => {
  const section = {
    siem: { type: 'maltrail', kind: 'syslog', transport: 'tcp', host: 'h', 'keep-alive': 5, description: 'x' },
    web: { type: 6, kind: 'http', url: 'https://h/', headers: { A: 'b' }, sensors: [UUID], paused: true },
  };
  assert.deepEqual(parseExporters(section, 'd4.yaml'), [
    {
      name: 'siem',
      type: 'maltrail',
      description: 'x',
      target: { kind: 'syslog', transport: 'tcp', host: 'h', keepAlive: 5 },
    },
    {
      name: 'web',
      type: '6',
      sensors: [UUID],
      paused: true,
      secrets: { headers: { A: 'b' } },
      target: { kind: 'http', url: 'https://h/' },
    },
  ]);
});

for (const [settings, message] of [
  [[], /"exporters" is a mapping/],
  [{ '../x': {} }, /exporter "..\/x": a name is/],
  [{ x: 'udp' }, /expected a mapping of settings/],
  [{ x: { kind: 'udp', host: 'h', port: 1 } }, /"type" is the number/],
  [{ x: { type: '3', kind: 'pigeon' } }, /"kind" is one of udp, tcp, /],
  [
    { x: { type: '3', kind: 'udp', host: 'h', port: 1, 'keep-alive': 1 } },
    /"keep-alive" is no setting of udp; allowed: kind, host, port, rate/,
  ],
  [
    { x: { type: '3', kind: 'tcp', host: 'h', port: 1, 'keep-alive': 'long' } },
    /"keep-alive" is a whole number from 0 to 86400/,
  ],
  [{ x: { type: '3', kind: 'udp', host: 'h' } }, /"port" must be given/],
  [{ x: { type: '3', kind: 'file' } }, /"path" must be given/],
  [{ x: { type: '3', kind: 'syslog', transport: 'quic' } }, /"transport" is one of udp, tcp, tls, unix/],
  [{ x: { type: '3', kind: 'http', url: 'ftp://h/' } }, /"url" begins with http:\/\/ or https:\/\//],
  [{ x: { type: '3', kind: 'http', url: 'https://h/', headers: ['secret'] } }, /^(?!.*secret)/],
  [{ x: { type: '3', kind: 'udp', host: 'h', port: 1, sensors: ['x'] } }, /"x" is not a UUID/],
] as const) {
  test(`says what is wrong with ${JSON.stringify(settings)}`, () => {
    assert.throws(() => parseExporters(settings, 'd4.yaml'), { code: 'D4_CONFIG', message });
  });
}

test('reads settings that are given as text', () => {
  const settings = new Map([
    ['host', 'h'],
    ['port', '6514'],
    ['transport', 'tls'],
    ['verify', 'false'],
    ['keep-alive', '0'],
  ]);
  assert.deepEqual(parseTargetSettings('syslog', settings), {
    kind: 'syslog',
    host: 'h',
    port: 6514,
    transport: 'tls',
    verify: false,
    keepAlive: 0,
  });
  assert.throws(() => parseTargetSettings('constructor', new Map()), { code: 'D4_CONFIG' });
  const before = { kind: 'udp', host: 'h', port: 1, rate: 5 } as const;
  const change = new Map(Object.entries({ port: '2', rate: '', 'every-line': 'true' }));
  assert.deepEqual(parseTargetSettings('udp', change, before), { kind: 'udp', host: 'h', port: 2, everyLine: true });
});
