import { WIRE_TYPE } from '@d4ts/protocol';
import { blocks, dnscap, flows, hostLog, made, packets, type Source, sampleLines } from './records.ts';

/** A sensor of the demonstration. */
export interface DemoSensor {
  readonly name: string;
  readonly description: string;
  readonly tags: readonly string[];
  readonly topic: string;
  /** On the wire. */
  readonly type: number;
  /** Sent first, for types that are declared. */
  readonly meta?: Readonly<Record<string, unknown>>;
  readonly source: Source;
  /** From one frame to the next, in ms. */
  readonly everyMs: number;
}

/** One or more of each type that the server knows. */
export function demoSensors(): DemoSensor[] {
  const now = (): string => new Date().toISOString();
  return [
    wire(1, 'Roof north', 'Packets at the uplink', ['uplink', 'vienna'], packets('mixed_soup.pcap'), 120),
    wire(1, 'Cellar', 'Name servers only', ['dns', 'vienna'], packets('dns_responses.pcap'), 400),
    wire(3, 'Gate log', 'Logins at the jump host', ['logs'], hostLog(), 90),
    wire(4, 'Resolver one', 'dnscap at the resolver', ['dns'], dnscap(), 300),
    wire(5, 'Lab bench', 'Captures of the laboratory', ['lab'], blocks('mixed_soup.pcapng'), 350),
    wire(
      6,
      'Weather mast',
      'Temperature and wind, JSON',
      ['outdoor'],
      made(
        (at) => `${JSON.stringify({ time: now(), celsius: 11 + (at % 40) / 10, wind: { ms: at % 17, from: 'NW' } })}\n`,
      ),
      1_000,
    ),
    wire(7, 'Flow probe', 'YAF at the core switch', ['uplink'], flows(), 200),
    wire(
      8,
      'Passive DNS',
      'What names point to',
      ['dns'],
      sampleLines('passivedns.txt', (line) => line.replace(/^\d+\.\d+/, (Date.now() / 1_000).toFixed(6))),
      250,
    ),
    declared(
      'ja3-jl',
      'TLS hellos',
      'Fingerprints of clients',
      ['tls'],
      sampleLines('ja3-jl.ndjson', (line) => line.replace(/"Timestamp":"[^"]*"/, `"Timestamp":"${now()}"`)),
      2_000,
    ),
    declared('maltrail', 'Maltrail', 'Events of Maltrail', ['uplink', 'alerts'], maltrail(), 700),
    declared(
      'suricata-eve',
      'Suricata',
      'EVE of the intrusion detection',
      ['alerts'],
      sampleLines('suricata-eve.ndjson', (line) => line.replace(/"timestamp":"[^"]*"/, `"timestamp":"${now()}"`)),
      500,
    ),
    {
      ...declared(
        'filewatcher',
        'Drop folder',
        'Files that somebody leaves',
        ['files'],
        made((at) => `${Buffer.from(`report ${at}, written ${now()}\n`).toString('base64')}\n`),
        4_000,
      ),
      meta: { type: 'filewatcher', extension: 'txt', compress: false },
    },
  ];
}

function wire(
  type: number,
  name: string,
  description: string,
  tags: readonly string[],
  source: Source,
  everyMs: number,
): DemoSensor {
  return { topic: String(type), type, name, description, tags, source, everyMs };
}

function declared(
  topic: string,
  name: string,
  description: string,
  tags: readonly string[],
  source: Source,
  everyMs: number,
): DemoSensor {
  const meta = { type: topic, encoding: 'utf-8' };
  return { topic, type: WIRE_TYPE.declared, meta, name, description, tags, source, everyMs };
}

function maltrail(): Source {
  const trails = ['evil.example', 'sinkhole.example', '198.51.100.66', 'tracker.example/gate.php'];
  return made((at) => {
    const time = new Date().toISOString().replace('T', ' ').replace('Z', '000');
    const trail = trails[at % trails.length];
    return `"${time}" maltrail-1 192.0.2.${1 + (at % 250)} ${40_000 + at} 198.51.100.53 53 UDP DNS ${trail} "malware (demonstration)" (static)\n`;
  });
}
