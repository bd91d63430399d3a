import type { SensorId } from '@d4ts/protocol';
import type { KeyChanged, RevealedKey } from '@d4ts/server';
import type { Command } from 'commander';
import { secondsArgument, uuidArgument } from './arguments.ts';
import { managementCommand } from './management-command.ts';
import { type KeyOptions, keyOf } from './sensor-key-file.ts';
import { terminalText, timeText } from './terminal-text.ts';

/** Adds `d4 sensor key` and `d4 sensor reveal`. */
export function registerSensorKeyCommands(sensor: Command): void {
  managementCommand<[SensorId], KeyOptions & { overlap?: number }>(
    sensor
      .command('key')
      .description('give a sensor another key, made by chance if none is given; the one before holds for a while too')
      .argument('<UUID>', "the sensor's UUID", uuidArgument)
      .option('--key <KEY>', 'the new HMAC key, 1 to 1,023 bytes')
      .option('--key-file <FILE>', 'read it from a file, or from standard input with -')
      .option(
        '--overlap <TIME>',
        'how long both keys hold, such as 2h or 7d; 0 for not at all (default: 1d)',
        secondsArgument,
      ),
    async ({ api, show }, { key, keyFile, overlap }, uuid) => {
      const given = key === undefined && keyFile === undefined ? {} : await keyOf(key, keyFile);
      const change = { ...given, ...(overlap !== undefined && { overlapSeconds: overlap }) };
      const changed = await api.post<KeyChanged>(`/sensors/${uuid}/key`, change);
      const { previousKeyUntil } = changed.sensor;
      const until = previousKeyUntil === null ? 'does not hold any more' : `holds until ${timeText(previousKeyUntil)}`;
      await show(
        changed,
        () =>
          `sensor ${uuid} has another key; the one before ${until}\n${changed.key === null ? '' : `key: ${changed.key}\n`}`,
      );
    },
  );

  managementCommand<[SensorId]>(
    sensor
      .command('reveal')
      .description("show a sensor's key; that is recorded")
      .argument('<UUID>', "the sensor's UUID", uuidArgument),
    async ({ api, show }, _options, uuid) => {
      const revealed = await api.post<RevealedKey>(`/sensors/${uuid}/key/reveal`);
      const encoding = revealed.keyEncoding === 'base64' ? ' (base64)' : '';
      await show(revealed, () => `key${encoding}: ${terminalText(revealed.key)}\n`);
    },
  );
}
