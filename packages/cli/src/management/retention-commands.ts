import { createInterface } from 'node:readline/promises';
import { setTimeout } from 'node:timers/promises';
import { D4Error, type SensorId } from '@d4ts/protocol';
import type { ErasureView, RetentionPlan, RetentionView, SensorView } from '@d4ts/server';
import type { Command } from 'commander';
import { uuidArgument } from './arguments.ts';
import { managementCommand } from './management-command.ts';
import { erasureText, planText, retentionText } from './retention-text.ts';
import { terminalText } from './terminal-text.ts';

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

  managementCommand<[SensorId], { wait: boolean; yes?: boolean }>(
    sensor
      .command('erase')
      .description('erase what a sensor has sent from the archive and the journal, for ever; the sensor itself stays')
      .argument('<UUID>', "the sensor's UUID", uuidArgument)
      .option('--yes', 'do not ask; needed where nobody can answer')
      .option('--no-wait', 'do not wait until it is done'),
    async ({ api, show }, { wait, yes }, uuid) => {
      if (yes !== true) await confirmErasure(await api.get<SensorView>(`/sensors/${uuid}`));
      let erasure = await api.delete<ErasureView>(`/sensors/${uuid}/data`);
      const { requestedAt } = erasure;
      let said: string | null = null;
      while (wait && erasure.doneAt === null) {
        if (erasure.waitsFor !== null && erasure.waitsFor !== said) {
          said = erasure.waitsFor;
          process.stderr.write(`d4: waits for ${terminalText(said)}\n`);
        }
        await setTimeout(POLL_MS);
        const { erasures } = await api.get<RetentionView>('/retention');
        erasure = erasures.find((each) => each.sensor === uuid && each.requestedAt === requestedAt) ?? erasure;
      }
      await show(erasure, () => erasureText(erasure));
    },
  );
}

/** @throws {D4Error} D4_USAGE where the answer is not yes, or nobody can be asked */
async function confirmErasure({ uuid, name }: SensorView): Promise<void> {
  const what = `all that sensor ${uuid}${name === '' ? '' : ` (${terminalText(name)})`} has sent is erased, for ever`;
  if (!process.stdin.isTTY || !process.stderr.isTTY) throw new D4Error('D4_USAGE', `${what}: say so with --yes`);
  const asking = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await asking.question(`${what}. Type "yes" to go on: `);
  asking.close();
  if (answer.trim() !== 'yes') throw new D4Error('D4_USAGE', 'nothing was erased');
}
