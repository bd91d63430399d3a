import fc from 'fast-check';
import { sampleFile } from './captures-fixture.ts';
import { type FormatSample, testFormatContract } from './contract.ts';
import { formatFor } from './registry.ts';

/** A stream of whole lines. */
function linesOf(name: string, bytes: Buffer): FormatSample {
  const items = bytes
    .toString('latin1')
    .split('\n')
    .filter((line) => line !== '');
  return { name, bytes, records: items.length, items };
}

/** Streams of lines that `line` makes. */
function streamsOf(line: fc.Arbitrary<string>): fc.Arbitrary<FormatSample> {
  return fc
    .array(line, { maxLength: 30 })
    .map((lines) => linesOf('generated', Buffer.from(lines.map((each) => `${each}\n`).join(''))));
}

const json = fc.json().map((text) => text.replaceAll('\n', ' '));
const word = fc.string({ unit: fc.constantFrom(...'abc019.-: |'), minLength: 1, maxLength: 30 });
const passivedns = fc
  .tuple(fc.nat(), word, word, word)
  .map(([time, source, query, value]) =>
    [`${time}.000001`, source, '192.0.2.53', 'IN', query, 'A', value, '60', '1'].join('||'),
  );
const maltrail = sampleFile('../maltrail/events.txt');

const TOPICS: readonly { topic: string; line: fc.Arbitrary<string>; samples: readonly string[] }[] = [
  { topic: '6', line: json, samples: ['suricata-eve.ndjson', 'ja3-jl.ndjson'] },
  { topic: '8', line: passivedns, samples: ['passivedns.txt'] },
  { topic: 'maltrail', line: fc.constantFrom(...maltrail.toString().split('\n')), samples: ['../maltrail/events.txt'] },
  { topic: 'suricata-eve', line: json, samples: ['suricata-eve.ndjson'] },
  { topic: 'd4-telemetry', line: json, samples: [] },
  { topic: 'fascia', line: json, samples: [] },
  { topic: 'not-known', line: word, samples: [] },
  { topic: 'ja3-jl', line: json, samples: ['ja3-jl.ndjson'] },
  { topic: 'filewatcher', line: fc.base64String({ maxLength: 200 }), samples: [] },
  { topic: 'filewatcherjson', line: json, samples: ['ja3-jl.ndjson'] },
];

for (const { topic, line, samples } of TOPICS) {
  testFormatContract(formatFor(topic), {
    streams: samples.map((name) => linesOf(`${topic}: ${name}`, sampleFile(name))),
    generated: streamsOf(line),
    hard: topic === 'filewatcher' ? [largestFile()] : [],
  });
}

function largestFile() {
  const bytes = Buffer.alloc(64 * 1024 * 1024 + 1_000, 'A');
  bytes[64 * 1024 * 1024 - 1] = 0x0a;
  return { name: 'the largest file', bytes, pieceBytes: 65_000 };
}
