import { Button, Modal, NumberInput, Stack, Switch, TextInput } from '@mantine/core';
import { useForm } from '@mantine/form';
import { useDisclosure } from '@mantine/hooks';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { answered, api, ifMatch, type Schemas } from '../../api/client.ts';
import { Editing, FormEnd } from '../../parts/form-problem.tsx';
import {
  bytesOrNothing,
  formatBytes,
  parseBytes,
  parseSpan,
  spanOrNothing,
  writeBytes,
  writeSpan,
} from '../../parts/format.ts';
import { Facts, Panel } from '../../parts/page.tsx';
import { useMay } from '../../session/session.tsx';

type Sensor = Schemas['Sensor'];

/** How the sensor is watched, how it has to send, and what is kept of it. */
export function Rules({ sensor }: { sensor: Sensor }) {
  const { expectedIntervalSeconds, acknowledgedOnly, hold, archivePriority, archiveMaxAgeMs, archiveMaxBytes } = sensor;
  const may = useMay('user');
  const [editing, { open, close }] = useDisclosure(false);
  return (
    <Panel
      title="Rules"
      actions={
        may && (
          <Button size="xs" variant="default" aria-label="Change the rules" onClick={open}>
            Change
          </Button>
        )
      }
    >
      <Facts
        facts={[
          [
            'Watched',
            expectedIntervalSeconds === null
              ? 'no'
              : `silent after ${writeSpan(expectedIntervalSeconds * 1_000)} without data`,
          ],
          ['Has to send', acknowledgedOnly ? 'with acknowledgement; anything else is refused' : 'in either way'],
          ['Hold', hold ? <strong key="hold">nothing of it is removed</strong> : 'no'],
          ['Priority', archivePriority === 0 ? '0, as all' : String(archivePriority)],
          ['Files are kept', archiveMaxAgeMs === null ? 'as all' : writeSpan(archiveMaxAgeMs)],
          ['At most', archiveMaxBytes === null ? 'as all' : formatBytes(archiveMaxBytes)],
        ]}
      />
      <Modal opened={editing} onClose={close} title="Change the rules" closeButtonProps={{ 'aria-label': 'Close' }}>
        <Editing value={sensor}>{(before) => <RulesForm sensor={before} close={close} />}</Editing>
      </Modal>
    </Panel>
  );
}

function RulesForm({ sensor, close }: { sensor: Sensor; close: () => void }) {
  const client = useQueryClient();
  const { expectedIntervalSeconds, acknowledgedOnly, hold, archivePriority, archiveMaxAgeMs, archiveMaxBytes } = sensor;
  const form = useForm({
    mode: 'uncontrolled',
    initialValues: {
      interval: expectedIntervalSeconds === null ? '' : writeSpan(expectedIntervalSeconds * 1_000),
      acknowledgedOnly,
      hold,
      priority: archivePriority as number | string,
      maxAge: archiveMaxAgeMs === null ? '' : writeSpan(archiveMaxAgeMs),
      maxBytes: writeBytes(archiveMaxBytes),
    },
    validate: {
      interval: spanOrNothing,
      maxAge: spanOrNothing,
      maxBytes: bytesOrNothing,
    },
  });
  const change = useMutation({
    mutationFn: ({ interval, priority, maxAge, maxBytes, ...rest }: typeof form.values) => {
      const intervalMs = parseSpan(interval);
      return answered(
        api.PATCH('/api/v1/sensors/{uuid}', {
          params: { path: { uuid: sensor.uuid }, header: ifMatch(sensor.revision) },
          body: {
            ...rest,
            expectedIntervalSeconds: intervalMs === undefined ? null : intervalMs / 1_000,
            archivePriority: Number(priority) || 0,
            archiveMaxAgeMs: parseSpan(maxAge) ?? null,
            archiveMaxBytes: parseBytes(maxBytes) ?? null,
          },
        }),
      );
    },
    onSuccess: close,
    onSettled: () =>
      Promise.all(['sensors', 'alerts', 'overview'].map((key) => client.invalidateQueries({ queryKey: [key] }))),
  });
  return (
    <form onSubmit={form.onSubmit((values) => change.mutate(values))} noValidate>
      <Stack gap="sm">
        <TextInput
          label="Expected interval"
          description="Silent when nothing came for so long, such as 10 min, 2 h; empty: it is not watched"
          data-autofocus
          key={form.key('interval')}
          {...form.getInputProps('interval')}
        />
        <Switch
          label="Only with acknowledgement"
          description="Sessions of clients that cannot be acknowledged are refused"
          key={form.key('acknowledgedOnly')}
          {...form.getInputProps('acknowledgedOnly', { type: 'checkbox' })}
        />
        <Switch
          label="Hold"
          description="Nothing of it is removed from the archive, whatever the policy says"
          key={form.key('hold')}
          {...form.getInputProps('hold', { type: 'checkbox' })}
        />
        <NumberInput
          label="Priority"
          description="What is lower goes first when files have to make room; that of the type is added"
          min={-1_000}
          max={1_000}
          allowDecimal={false}
          hideControls
          key={form.key('priority')}
          {...form.getInputProps('priority')}
        />
        <TextInput
          label="Its files are kept for"
          description="Such as 30 d; empty: as all"
          key={form.key('maxAge')}
          {...form.getInputProps('maxAge')}
        />
        <TextInput
          label="The archive keeps of it at most"
          description="Such as 20 GB; empty: as all"
          key={form.key('maxBytes')}
          {...form.getInputProps('maxBytes')}
        />
        <FormEnd change={change}>Save</FormEnd>
      </Stack>
    </form>
  );
}
