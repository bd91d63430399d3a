import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { freePorts, PowerDisk, Random, Relay, runD4 } from '@d4ts/testkit';
import { Consumer } from './consumer.ts';
import {
  type Fault,
  FileSensor,
  KEY,
  type Machine,
  PipeSensor,
  type SensorMachine,
  ServerMachine,
} from './machines.ts';
import { outage } from './outage.ts';
import { eventLine, logLine, noiseLine, packet, pipeLine } from './sources.ts';
import { runWell, verify } from './verify.ts';

const USAGE = `npm run chaos -- [--rounds N] [--seed N] [--faults machines|network|all]
npm run chaos -- --outage SECONDS [--spool-limit SIZE]

Sensors of several types deliver with acknowledgements, while the server, a sensor or both are killed or lose their power, also
as they start and as they stop, and while the network between them cuts, stalls, half-closes and forgets. Segments of the
journal are small, and retention removes what it may. In the end the journal and the archive have every byte once and in order,
consumers got each record, again only what they took just before a fault, and the ledger balances. Needs root: it mounts file
systems in a namespace of its own. With --outage the network is gone for so long, and more comes than the spools may hold.
`;

/** The disks' sizes; memory is used for what is written alone. A segment is a fiftieth of the first, 64 MiB at most. */
const SERVER_DISK_MIB = { least: 800, each: 10, most: 10_000 };
const SENSOR_DISK_MIB = 800;
/** What was popped longer than this before a fault must not come again, in ms; 200 where the machine is not starved. */
const WINDOW_MS = 1_000;
const SETTINGS = `retention:
  rewind-age: 1s
`;

type Faults = 'machines' | 'network' | 'all';

/** Sets everything up on disks that work, with the sensors registered. @returns the consumers */
async function prepare(
  server: ServerMachine,
  sensors: readonly SensorMachine[],
  { relay, redis }: { relay: Relay; redis: number },
): Promise<Consumer[]> {
  const { home } = server;
  mkdirSync(home);
  writeFileSync(join(home, 'd4.yaml'), SETTINGS);
  server.start();
  await server.ready();
  for (const { uuid } of sensors) {
    await runWell(['sensor', 'add', '--home', home, '--uuid', uuid, '--key', KEY, '--approve']);
  }
  const types = await runWell(['type', 'list', '--home', home]);
  if (!types.includes('maltrail')) await runWell(['type', 'add', 'maltrail', '--home', home]);
  await runWell(['type', 'edit', '8', '--archive-size', '1MB', '--home', home]);
  for (const sensor of sensors) sensor.configure(home, `127.0.0.1:${relay.port}`);
  const consumers: Consumer[] = [];
  for (const type of ['3', 'maltrail']) {
    const uuid = (await runWell(['queue', 'add', type, '--home', home])).trim().split(/\s/)[0] ?? '';
    consumers.push(new Consumer(redis, { type, uuid }, type === '3' ? lineNumber : eventNumber));
  }
  await server.fail('kill');
  // What was set up is on the disks before the first fault.
  execFileSync('sync');
  return consumers;
}

function lineNumber(item: string): { stream: string; number: number } | undefined {
  const [, pipe, number] = /^(?:(pipe \d+) )?(\d+) .*\n?$/.exec(item.slice(0, 1_000).split('\n')[0] ?? '') ?? [];
  if (number === undefined) return undefined;
  // The last line of a run may be cut anywhere.
  if (pipe !== undefined && `${item.trimEnd()} \n`.length < pipeLine(Number(pipe.slice(5)), Number(number)).length) {
    return undefined;
  }
  return { stream: pipe ?? 'file', number: Number(number) };
}

function eventNumber(item: string): { stream: string; number: number } {
  return { stream: 'file', number: Number(item.slice(item.indexOf('.') + 1, item.indexOf('.') + 10)) };
}

/** One fault of machines, at a moment that may lie in a start or within an orderly stop. */
async function failMachines(
  random: Random,
  { server, sensors, consumers }: { server: ServerMachine; sensors: readonly SensorMachine[]; consumers: Consumer[] },
): Promise<string> {
  const fault: Fault = random.below(2) === 0 ? 'kill' : 'power';
  const stopping = random.below(4) === 0 ? random.below(300) : undefined;
  const whom = random.below(3);
  const failed: Machine[] = [];
  if (whom !== 0) {
    // The sensors' disk is one: its power goes for all of them.
    if (fault === 'power') {
      await powerOfSensors(sensors);
      failed.push(...sensors);
    } else {
      const one = random.of(sensors);
      await one.fail('kill', stopping);
      failed.push(one);
    }
  }
  if (whom !== 1) {
    for (const consumer of consumers) consumer.failing();
    await server.fail(fault, stopping);
    for (const consumer of consumers) consumer.failed();
    failed.push(server);
  }
  for (const machine of failed) machine.start();
  const what = ['the server', 'sensors', 'both'][whom];
  return `${fault} ${what}${stopping === undefined ? '' : ' while stopping'}`;
}

async function powerOfSensors(sensors: readonly SensorMachine[]): Promise<void> {
  const disk = sensors[0]?.disk;
  await disk?.cut();
  await Promise.all(sensors.map((sensor) => sensor.end()));
  disk?.restore();
}

/** One fault of the network. */
async function failNetwork(random: Random, relay: Relay): Promise<string> {
  const ms = random.below(1_500);
  switch (random.below(6)) {
    case 0:
      relay.cut();
      return 'connections are cut';
    case 1:
      relay.linger();
      return 'connections are cut, the server does not hear of it';
    case 2:
      relay.halfClose();
      return 'connections are half-closed';
    case 3:
      relay.stall();
      await delay(ms);
      relay.resume();
      return `nothing passes for ${ms} ms`;
    case 4:
      relay.stallAfter(random.below(200_000));
      await delay(ms);
      relay.linger();
      relay.resume();
      return `connections stall in mid-stream, and are forgotten after ${ms} ms`;
    default:
      await relay.refuse();
      await delay(ms);
      await relay.open();
      return `connections are refused for ${ms} ms`;
  }
}

/** What the server and its disk say, for whoever has to find out what went wrong. */
async function stateOf({ home, said }: ServerMachine): Promise<string> {
  const asked = ['status', 'retention show', 'ledger --check'].map(async (words) => {
    const { stdout, stderr } = await runD4([...words.split(' '), '--home', home]);
    return `d4 ${words}:\n${stdout}${stderr}`;
  });
  const disk = execFileSync('df', ['-m', home], { encoding: 'utf8' });
  return [...(await Promise.all(asked)), disk, `the end of its log:\n${said}`, ''].join('\n');
}

async function chaos(rounds: number, seed: number, faults: Faults): Promise<void> {
  const random = new Random(seed);
  const folder = mkdtempSync(join(tmpdir(), 'd4-chaos-'));
  const { least, each, most } = SERVER_DISK_MIB;
  const serverMiB = Math.min(most, Math.max(least, rounds * each));
  const serverDisk = PowerDisk.make(folder, serverMiB, random.below(2) === 0 ? 'ordered' : 'journalled');
  const sensorDisk = PowerDisk.make(folder, SENSOR_DISK_MIB, 'journalled');
  const [listen = 0, web = 0, redis = 0] = await freePorts(3, '127.0.0.1');
  const ports = { listen, web, redis };
  const relay = await Relay.start(ports.listen);
  const server = new ServerMachine(serverDisk, ports);
  const files = [
    new FileSensor(sensorDisk, folder, '3', logLine),
    new FileSensor(sensorDisk, folder, 'maltrail', eventLine),
    new FileSensor(sensorDisk, folder, '1', packet),
  ];
  const pipe = new PipeSensor(sensorDisk, '3', pipeLine);
  // Its archive is limited, so that files go while others come.
  const noise = new PipeSensor(sensorDisk, '8', noiseLine);
  const sensors = [...files, pipe, noise];
  const stopGrowing = files.map((file) => file.grow());
  let consumers: Consumer[] = [];
  try {
    consumers = await prepare(server, sensors, { relay, redis: ports.redis });
    for (const machine of [server, ...sensors, ...consumers]) machine.start();
    const done = new Map<string, number>();
    for (let round = 0; round < rounds; round++) {
      // A quarter of the faults comes while the programs still start.
      if (random.below(4) > 0) await server.ready();
      await delay(random.below(900));
      const ofNetwork = faults === 'network' || (faults === 'all' && random.below(3) === 0);
      const what = ofNetwork
        ? await failNetwork(random, relay)
        : await failMachines(random, { server, sensors, consumers });
      process.stderr.write(`round ${round}: ${what}\n`);
      const kind = ofNetwork ? 'network' : (what.split(' ')[0] ?? '');
      done.set(kind, (done.get(kind) ?? 0) + 1);
    }
    for (const stop of stopGrowing) stop();
    await server.ready();
    for (const sensor of sensors) await sensor.finish();
    const [ofLines, ofEvents] = consumers;
    for (const [consumer, file] of [
      [ofLines, files[0]],
      [ofEvents, files[1]],
    ] as const) {
      for (const until = performance.now() + 60_000; consumer?.last('file') !== (file?.made ?? 0) - 1; ) {
        assert.ok(performance.now() < until, `a consumer got ${consumer?.last('file')} of ${file?.made} items`);
        await delay(50);
      }
    }
    for (const consumer of consumers) await consumer.stop();
    await verify(server, { files, pipe });
    const again = consumers.reduce((sum, consumer) => sum + consumer.again, 0);
    const window = Math.round(Math.max(...consumers.map((consumer) => consumer.window)));
    assert.ok(window <= WINDOW_MS, `consumers got again what they took ${window} ms before a fault`);
    const counted = [...done].map(([kind, count]) => `${kind} ${count}`).join(', ');
    process.stdout.write(
      `faults: ${counted}. Every byte is there once, in order. Of ${consumers.reduce((sum, { items }) => sum + items, 0)} items popped ${again} came again, taken up to ${window} ms before a fault.\n`,
    );
  } catch (error) {
    process.stderr.write(await stateOf(server));
    throw error;
  } finally {
    for (const stop of stopGrowing) stop();
    await Promise.all([server, ...sensors].map((machine) => machine.end()));
    await Promise.allSettled(consumers.map((consumer) => consumer.stop()));
    await relay[Symbol.asyncDispose]();
    for (const disk of [serverDisk, sensorDisk]) await disk.remove();
    rmSync(folder, { recursive: true, force: true });
  }
}

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '400' },
    seed: { type: 'string', default: '1' },
    faults: { type: 'string', default: 'all' },
    outage: { type: 'string' },
    'spool-limit': { type: 'string', default: '20MB' },
    help: { type: 'boolean' },
  },
});
const { faults } = values;
if (values.help === true) process.stdout.write(USAGE);
else if (values.outage !== undefined) {
  process.stdout.write(`${await outage({ seconds: Number(values.outage), spoolLimit: values['spool-limit'] })}\n`);
} else if (faults !== 'machines' && faults !== 'network' && faults !== 'all') throw new Error(USAGE);
else await chaos(Number(values.rounds), Number(values.seed), faults);
