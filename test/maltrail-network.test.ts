import assert from 'node:assert/strict';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { newSensorId } from '@d4ts/protocol';
import { launchServer, runD4, startD4 } from '@d4ts/testkit';
import { MaltrailStandIn } from './maltrail-stand-in.ts';

// A distributed Maltrail network (docs/maltrail.md): three sensors, a server, its exporter, a Maltrail server; each part
// is restarted in the middle.

const KEY = 'a key of its own';
const SENSORS = 3;
/** Of each sensor in each part of the test: two parts fit a socket's receive buffer, however busy the machine is. */
const EVENTS = 80;
const JUNK = [
  'Maltrail (sensor) #v3.1.2',
  '[i] using configuration file',
  '1764000000 anything',
  '"2026-11-22 04:26:15.87',
];
const SAMPLES = readFileSync(new URL('./data/maltrail/events.txt', import.meta.url), 'utf8')
  .split('\n')
  .slice(0, -1);

const root = mkdtempSync(join(tmpdir(), 'd4-maltrail-'));
after(() => rmSync(root, { recursive: true, force: true }));

/** A sensor's program: what it prints goes into a `d4 client`. */
class Probe {
  readonly uuid = newSensorId();
  readonly name: string;
  readonly directory: string;
  /** Events printed so far. */
  readonly printed: string[] = [];
  #client: ChildProcessWithoutNullStreams | undefined;

  constructor(number: number, destination: string, ca: string) {
    this.name = `probe-${number}`;
    this.directory = mkdtempSync(join(root, 'sensor-'));
    const files = { uuid: this.uuid, key: KEY, type: '254', source: 'stdin', snaplen: '4096', destination };
    const meta = { 'metaheader.json': '{"type":"maltrail","encoding":"utf-8"}\n', 'rootCA.crt': ca };
    for (const [name, content] of Object.entries({ ...files, ...meta }))
      writeFileSync(join(this.directory, name), content);
  }

  start(): void {
    this.#client = startD4(['client', '-c', this.directory, '-rt', '100ms']);
    this.#client.stderr.resume();
  }

  /** Prints events that differ from all others, and some lines that are none. */
  print(): void {
    const lines = Array.from({ length: EVENTS }, (_, i) => {
      const number = this.printed.length + i;
      const micros = String(number).padStart(6, '0');
      const sample = SAMPLES[number % SAMPLES.length] ?? '';
      return sample.replace(/\.\d{6}" \S+ /, `.${micros}" ${this.name} `);
    });
    this.printed.push(...lines);
    this.#client?.stdin.write([...JUNK, ...lines].map((line) => `${line}\n`).join(''));
  }

  /** Ends its input; the client ends when the server has everything. */
  async end(): Promise<void> {
    const client = this.#client;
    if (client === undefined) return;
    this.#client = undefined;
    const closed = once(client, 'close');
    client.stdin.end();
    assert.deepEqual(await closed, [0, null]);
  }

  kill(): void {
    this.#client?.kill('SIGKILL');
  }
}

test('each event of a network is kept once and unchanged, whatever is restarted; other lines are withheld', async () => {
  const maltrail = new MaltrailStandIn();
  await maltrail.open();
  let server = await launchServer();
  const { home } = server;
  const d4 = async (...words: string[]): Promise<string> => {
    const { code, stdout, stderr } = await runD4([...words, '--home', home]);
    assert.equal(code, 0, stderr);
    return stdout;
  };
  const probes: Probe[] = [];
  let parts = 0;
  const printAll = (): void => {
    parts += 1;
    for (const probe of probes) probe.print();
  };
  const allArrived = () => maltrail.until(parts * SENSORS * EVENTS);
  try {
    const said = await d4('maltrail', 'setup', '--to', `127.0.0.1:${maltrail.port}`);
    assert.match(said, /exporter maltrail sends events from now on to udp 127\.0\.0\.1:/);
    assert.match(await d4('maltrail', 'setup', '--to', `127.0.0.1:${maltrail.port}`), /was there already/);
    const ca = readFileSync(join(home, 'rootCA.crt'), 'utf8');
    for (let i = 1; i <= SENSORS; i++) probes.push(new Probe(i, server.info.listen, ca));
    for (const { uuid } of probes) await d4('sensor', 'add', '--uuid', uuid, '--key', KEY, '--approve');
    for (const probe of probes) probe.start();
    printAll();
    await allArrived();

    // Maltrail: what comes while it is away is held.
    await maltrail.close();
    printAll();
    while (!(await d4('exporter', 'show', 'maltrail')).includes('refuses datagrams'));
    await maltrail.open();
    await allArrived();

    // The exporter.
    await d4('exporter', 'pause', 'maltrail');
    printAll();
    await d4('exporter', 'resume', 'maltrail');
    await allArrived();

    // The server: clients hold what it has not acknowledged.
    printAll();
    const exited = await server.stop();
    assert.deepEqual(exited, { code: 0, signal: null });
    printAll();
    server = await launchServer({ home, args: ['--listen', server.info.listen] });
    await allArrived();

    // The clients.
    printAll();
    for (const probe of probes) {
      await probe.end();
      probe.start();
    }
    printAll();
    for (const probe of probes) await probe.end();
    await allArrived();

    for (const { name, printed } of probes) {
      assert.deepEqual(
        maltrail.events.filter((line) => line.includes(` ${name} `)),
        printed,
      );
    }
    assert.deepEqual([...maltrail.days.keys()], ['2026-11-22']);
    const all = parts * SENSORS * EVENTS;
    assert.equal(maltrail.events.length, all);
    const { summary } = JSON.parse(await d4('maltrail', 'status', '--json'));
    assert.deepEqual([summary.total.events, summary.total.others], [all, parts * SENSORS * JUNK.length]);
    assert.equal(summary.bySensor.length, SENSORS);
    const threats = JSON.parse(await d4('maltrail', 'threats', '--json', '-n', '1000'));
    assert.equal(
      threats.reduce((sum: number, { events }: { events: number }) => sum + events, 0),
      all,
    );
    const first = probes[0];
    const found = await d4('maltrail', 'events', '--json', '--sensor', `${first?.uuid}`, '-n', '100000');
    assert.deepEqual(
      JSON.parse(found).map(({ line }: { line: string }) => line),
      first?.printed,
    );
  } finally {
    for (const probe of probes) probe.kill();
    await server.dispose();
    rmSync(home, { recursive: true, force: true });
    await maltrail.close();
  }
});
