import { isUtf8 } from 'node:buffer';
import { readFileSync } from 'node:fs';
import { buffer } from 'node:stream/consumers';
import { D4Error, type SensorId } from '@d4ts/protocol';
import type { SensorView } from '@d4ts/server';
import type { Command } from 'commander';
import { sensorUuidArgument, sizeArgument, uuidArgument } from './arguments.ts';
import { managementCommand } from './management-command.ts';
import { sensorTable, sensorText } from './sensor-text.ts';

interface AddOptions {
  readonly uuid: SensorId;
  readonly key?: string;
  readonly keyFile?: string;
  readonly description?: string;
  readonly approve?: boolean;
}

/** In bytes. */
type Limit = number | 'none';

interface EditOptions {
  readonly description?: string;
  readonly mail?: string;
  readonly rate?: Limit;
  readonly quota?: Limit;
  readonly maxPayload?: Limit;
}

/** Adds `d4 sensor …`. */
export function registerSensorCommands(program: Command): void {
  const sensor = program.command('sensor').description('register, approve, watch and remove sensors');

  managementCommand<[], AddOptions>(
    sensor
      .command('add')
      .description('register a sensor; it may send once it is approved')
      .requiredOption('--uuid <UUID>', "the sensor's UUID, of version 4", sensorUuidArgument)
      .option('--key <KEY>', "the sensor's HMAC key, 1 to 1,023 bytes")
      .option('--key-file <FILE>', 'read the key from a file, or from standard input with -')
      .option('--description <TEXT>', 'what it is, for people')
      .option('--approve', 'approve it at once'),
    async ({ api, show }, { uuid, key, keyFile, description, approve }) => {
      const added = await api.post<SensorView>('/sensors', {
        uuid,
        ...(await keyOf(key, keyFile)),
        ...(description !== undefined && { description }),
        ...(approve === true && { approve }),
      });
      await show(added, () =>
        approve === true
          ? `sensor ${uuid} is registered and approved\n`
          : `sensor ${uuid} is registered and pending: approve it with "d4 sensor approve ${uuid}"\n`,
      );
    },
  );

  managementCommand(sensor.command('list').description('all sensors and how they are'), async ({ api, show }) => {
    const sensors = await api.list<SensorView>('/sensors');
    await show(sensors, () => sensorTable(sensors));
  });

  managementCommand<[SensorId]>(
    sensor
      .command('show')
      .description('a sensor: what it sends, its sessions, why it was refused')
      .argument('<UUID>', "the sensor's UUID", uuidArgument),
    async ({ api, show }, _options, uuid) => {
      const shown = await api.get<SensorView>(`/sensors/${uuid}`);
      await show(shown, () => sensorText(shown));
    },
  );

  managementCommand<[SensorId], EditOptions>(
    sensor
      .command('edit')
      .description('change what is known of a sensor, and what it may send')
      .argument('<UUID>', "the sensor's UUID", uuidArgument)
      .option('--description <TEXT>', 'what it is, for people')
      .option('--mail <TEXT>', 'the address of who looks after it')
      .option('--rate <SIZE>', 'read so much of it each second, such as 10MB; none for no limit', sizeArgument)
      .option('--quota <SIZE>', 'read so much of it each day (UTC), such as 5GB; none for no limit', sizeArgument)
      .option('--max-payload <SIZE>', "the largest payload of a frame; none for the server's limit", sizeArgument),
    async ({ api, show }, { description, mail, rate, quota, maxPayload }, uuid) => {
      const change = {
        description,
        mail,
        maxBytesPerSecond: limitIn(rate),
        maxBytesPerDay: limitIn(quota),
        maxPayloadBytes: limitIn(maxPayload),
      };
      if (Object.values(change).every((value) => value === undefined)) {
        throw new D4Error('D4_USAGE', 'say what to change: --description, --mail, --rate, --quota or --max-payload');
      }
      const changed = await api.patch<SensorView>(`/sensors/${uuid}`, change);
      await show(changed, () => `sensor ${uuid} is changed\n`);
    },
  );

  const decisions = [
    ['approve', 'let a sensor send', 'is approved'],
    ['revoke', "take a sensor's approval back and close its connections", 'is revoked'],
  ] as const;
  for (const [name, description, done] of decisions) {
    managementCommand<[SensorId]>(
      sensor.command(name).description(description).argument('<UUID>', "the sensor's UUID", uuidArgument),
      async ({ api, show }, _options, uuid) => {
        const decided = await api.post<SensorView>(`/sensors/${uuid}/${name}`);
        await show(decided, () => `sensor ${uuid} ${done}\n`);
      },
    );
  }

  managementCommand<[SensorId]>(
    sensor
      .command('remove')
      .description('forget a sensor and close its connections; what it sent stays')
      .argument('<UUID>', "the sensor's UUID", uuidArgument),
    async ({ api, show }, _options, uuid) => {
      await api.delete(`/sensors/${uuid}`);
      await show({ uuid, removed: true }, () => `sensor ${uuid} is removed\n`);
    },
  );

  managementCommand<[SensorId]>(
    sensor
      .command('kick')
      .description('close the connections of a sensor; it may come again')
      .argument('<UUID>', "the sensor's UUID", uuidArgument),
    async ({ api, show }, _options, uuid) => {
      const kicked = await api.post<{ connections: number }>(`/sensors/${uuid}/kick`);
      await show(kicked, () => `${kicked.connections} connections of sensor ${uuid} are closed\n`);
    },
  );
}

/** A limit as the HTTP interface takes it: null takes it away. */
function limitIn(limit: Limit | undefined): number | null | undefined {
  return limit === 'none' ? null : limit;
}

/** The key as the HTTP interface takes it: text, or base64 for other bytes. */
async function keyOf(
  key: string | undefined,
  file: string | undefined,
): Promise<{ key: string; keyEncoding?: 'base64' }> {
  if ((key === undefined) === (file === undefined))
    throw new D4Error('D4_USAGE', 'give the key with --key or with --key-file');
  if (file === undefined) return { key: key ?? '' };
  const bytes = withoutNewline(file === '-' ? await buffer(process.stdin) : readKeyFile(file));
  return isUtf8(bytes) ? { key: bytes.toString('utf8') } : { key: bytes.toString('base64'), keyEncoding: 'base64' };
}

function readKeyFile(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new D4Error('D4_USAGE', `--key-file ${file}: ${error instanceof Error ? error.message : error}`, error);
  }
}

/** Editors and echo end a file with a newline that is not of the key; the clients leave it out too. */
function withoutNewline(bytes: Buffer): Buffer {
  if (bytes.at(-1) !== 0x0a) return bytes;
  return bytes.subarray(0, bytes.at(-2) === 0x0d ? -2 : -1);
}
