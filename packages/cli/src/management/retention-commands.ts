import { setTimeout } from 'node:timers/promises';
import type { SensorId } from '@d4ts/protocol';
import type { ErasureView, RetentionPlan, RetentionView, SensorView } from '@d4ts/server';
import type { Command } from 'commander';
import { uuidArgument } from './arguments.ts';
import { managementCommand } from './management-command.ts';
import { erasureText, planText, retentionText } from './retention-text.ts';

const POLL_MS = 500;

/** Adds `d4 retention …`. */
export function registerRetentionCommands(program: Command): void {
  const retention = program.command('retention').description('what is kept, what goes, and how much space is left');

  managementCommand(
    retention
      .command('show')
      .description('what holds, what each type has, what was removed, and when the disk is full'),
    async ({ api, show }) => {
      const shown = await api.get<RetentionView>('/retention');
      await show(shown, () => retentionText(shown));
    },
  );

  managementCommand(
    retention.command('plan').description('what would be removed now, and why; nothing is changed'),
    async ({ api, show }) => {
      const plan = await api.get<RetentionPlan>('/retention/plan');
      await show(plan, () => planText(plan));
    },
  );

  managementCommand(
    retention
      .command('accept-clock')
      .description("say that the server's clock is right after its jump: age rules work again"),
    async ({ api, show }) => {
      const accepted = await api.post<{ changed: boolean }>('/retention/accept-clock');
      await show(accepted, () => (accepted.changed ? 'age rules work again\n' : 'age rules were not paused\n'));
    },
  );
}

/** Adds `d4 sensor hold`, `release` and `erase` to the commands of sensors. */
export function registerSensorRetention(sensor: Command): void {
  const holds = [
    ['hold', 'remove nothing of a sensor from the archive, whatever the limits say', true, 'is on hold'],
    ['release', "let the archive's limits hold for a sensor again", false, 'is no longer on hold'],
  ] as const;
  for (const [name, description, hold, done] of holds) {
    managementCommand<[SensorId]>(
      sensor.command(name).description(description).argument('<UUID>', "the sensor's UUID", uuidArgument),
      async ({ api, show }, _options, uuid) => {
        const changed = await api.patch<SensorView>(`/sensors/${uuid}`, { hold });
        await show(changed, () => `sensor ${uuid} ${done}\n`);
      },
    );
  }

  managementCommand<[SensorId], { wait: boolean }>(
    sensor
      .command('erase')
      .description('erase what a sensor has sent from the archive and the journal, for ever; the sensor itself stays')
      .argument('<UUID>', "the sensor's UUID", uuidArgument)
      .option('--no-wait', 'do not wait until it is done'),
    async ({ api, show }, { wait }, uuid) => {
      let erasure = await api.delete<ErasureView>(`/sensors/${uuid}/data`);
      const { requestedAt } = erasure;
      while (wait && erasure.doneAt === null) {
        await setTimeout(POLL_MS);
        const { erasures } = await api.get<RetentionView>('/retention');
        erasure = erasures.find((each) => each.sensor === uuid && each.requestedAt === requestedAt) ?? erasure;
      }
      await show(erasure, () => erasureText(erasure));
    },
  );
}
