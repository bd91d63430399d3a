import { D4Error, type SensorId } from '@d4ts/protocol';
import type { SensorView } from '@d4ts/server';
import type { Command } from 'commander';
import {
  ageArgument,
  intervalArgument,
  limitIn,
  priorityArgument,
  sensorUuidArgument,
  sizeArgument,
  uuidArgument,
  yesNoArgument,
} from './arguments.ts';
import { managementCommand } from './management-command.ts';
import { registerSensorRetention } from './retention-commands.ts';
import { registerSensorKeyCommands } from './sensor-key-commands.ts';
import { keyOf } from './sensor-key-file.ts';
import { sensorTable, sensorText } from './sensor-text.ts';

interface AddOptions {
  readonly uuid: SensorId;
  readonly key?: string;
  readonly keyFile?: string;
  readonly description?: string;
  readonly approve?: boolean;
}

/** In bytes or ms. */
type Limit = number | 'none';

interface EditOptions {
  readonly name?: string;
  readonly tags?: string;
  readonly description?: string;
  readonly mail?: string;
  readonly rate?: Limit;
  readonly quota?: Limit;
  readonly maxPayload?: Limit;
  /** In seconds. */
  readonly expect?: Limit;
  readonly acknowledgedOnly?: boolean;
  readonly archivePriority?: number;
  readonly archiveAge?: Limit;
  readonly archiveSize?: Limit;
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
      .option('--name <TEXT>', 'what people call it')
      .option('--tags <TAGS>', 'words to find it by, with commas between them; these and no others')
      .option('--mail <TEXT>', 'the address of who looks after it')
      .option('--rate <SIZE>', 'read so much of it each second, such as 10MB; none for no limit', sizeArgument)
      .option('--quota <SIZE>', 'read so much of it each day (UTC), such as 5GB; none for no limit', sizeArgument)
      .option('--max-payload <SIZE>', "the largest payload of a frame; none for the server's limit", sizeArgument)
      .option(
        '--expect <TIME>',
        'it is silent when nothing came for so long, such as 90s, 10m or 1d; none: it is not watched',
        intervalArgument,
      )
      .option('--acknowledged-only <yes|no>', 'whether sessions without acknowledgement are refused', yesNoArgument)
      .option('--archive-priority <N>', 'files of a lower one go first when they have to make room', priorityArgument)
      .option('--archive-age <TIME>', 'keep its files so long, such as 30d; none for what holds for all', ageArgument)
      .option('--archive-size <SIZE>', 'keep so much of it in the archive; none for what holds for all', sizeArgument),
    async ({ api, show }, options, uuid) => {
      const change = {
        name: options.name,
        tags: options.tags?.split(',').flatMap((tag) => (tag.trim() === '' ? [] : [tag.trim()])),
        description: options.description,
        mail: options.mail,
        maxBytesPerSecond: limitIn(options.rate),
        maxBytesPerDay: limitIn(options.quota),
        maxPayloadBytes: limitIn(options.maxPayload),
        expectedIntervalSeconds: limitIn(options.expect),
        acknowledgedOnly: options.acknowledgedOnly,
        archivePriority: options.archivePriority,
        archiveMaxAgeMs: limitIn(options.archiveAge),
        archiveMaxBytes: limitIn(options.archiveSize),
      };
      if (Object.values(change).every((value) => value === undefined)) {
        throw new D4Error('D4_USAGE', 'say what to change: --description, --rate, --archive-age or another option');
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

  registerSensorKeyCommands(sensor);
  registerSensorRetention(sensor);

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
