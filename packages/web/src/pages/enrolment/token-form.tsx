import { Alert, Button, NumberInput, Select, Stack } from '@mantine/core';
import { useForm } from '@mantine/form';
import { IconCircleCheck } from '@tabler/icons-react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { answered, api, type Schemas } from '../../api/client.ts';
import { enrolments } from '../../api/queries.ts';
import { CopyButton } from '../../parts/copy-button.tsx';
import { FormProblem } from '../../parts/form-problem.tsx';
import { Code } from '../../parts/page.tsx';
import { SensorFields, type SensorValues, serverOr } from '../../parts/sensor-fields.tsx';
import { Time } from '../../parts/time.tsx';

const HOUR_MS = 3_600_000;

interface Values extends SensorValues {
  hours: string;
  maxUses: number | string;
}

/** Makes a token, and shows the command line that a sensor is added with. */
export function TokenForm({ close }: { close: () => void }) {
  const client = useQueryClient();
  const form = useForm<Values>({
    mode: 'uncontrolled',
    initialValues: { name: '', type: '3', server: '', mail: '', approve: true, hours: '24', maxUses: 1 },
    validate: { maxUses: (value) => (Number(value) >= 1 ? null : 'From 1 to 100') },
  });
  const add = useMutation({
    mutationFn: async ({ hours, maxUses, server, ...about }: Values) =>
      answered(
        api.POST('/api/v1/enrolments', {
          body: {
            ...about,
            server: await serverOr(server, client),
            maxUses: Number(maxUses),
            expiresAt: Date.now() + Number(hours) * HOUR_MS,
          },
        }),
      ),
    onSuccess: () => client.invalidateQueries({ queryKey: ['sensors', 'enrolments'] }),
  });
  if (add.data !== undefined) return <TokenMade added={add.data} close={close} />;
  return (
    <form onSubmit={form.onSubmit((values) => add.mutate(values))} noValidate>
      <Stack gap="sm">
        <p style={{ margin: 0, fontSize: 14 }}>
          Makes a command line for somebody at the sensor: it registers by itself, and its key never leaves it.
        </p>
        <SensorFields form={form} />
        <Select
          label="The command works for"
          allowDeselect={false}
          data={[
            { value: '1', label: 'an hour' },
            { value: '24', label: 'a day' },
            { value: '168', label: 'a week' },
            { value: '720', label: '30 days' },
          ]}
          key={form.key('hours')}
          {...form.getInputProps('hours')}
        />
        <NumberInput
          label="For so many sensors"
          min={1}
          max={100}
          allowDecimal={false}
          key={form.key('maxUses')}
          {...form.getInputProps('maxUses')}
        />
        <FormProblem error={add.error} />
        <Button type="submit" loading={add.isPending}>
          Make the command
        </Button>
      </Stack>
    </form>
  );
}

function TokenMade({ added, close }: { added: Schemas['EnrolmentAdded']; close: () => void }) {
  const { command, enrolment } = added;
  const { data } = useQuery(enrolments);
  const uses = data?.items.find(({ id }) => id === enrolment.id)?.uses ?? [];
  const often = enrolment.maxUses === 1 ? 'once' : `${enrolment.maxUses} times`;
  return (
    <Stack gap="sm">
      <p style={{ margin: 0, fontSize: 14 }}>Type this on the sensor, where d4 is installed:</p>
      <Code label="Command" wrap copy={<CopyButton value={command} what="command" />}>
        {command}
      </Code>
      <p className="dimmed" style={{ margin: 0, fontSize: 13 }}>
        It works {often}, until <Time at={enrolment.expiresAt} />, and is not shown again: whoever has it can become a
        sensor of yours. It checks this server before it says anything, and makes the key there.
      </p>
      <div role="status" aria-live="polite">
        {uses.length === 0 ? (
          <span className="dimmed" style={{ fontSize: 13 }}>
            Waiting for the sensor…
          </span>
        ) : (
          uses.map(({ sensor, address }) => (
            <Alert key={sensor} color="teal" variant="light" icon={<IconCircleCheck />} p="xs" mb={4}>
              <Link to="/sensors/$uuid" params={{ uuid: sensor }}>
                {sensor.slice(0, 8)}
              </Link>{' '}
              has enrolled, from {address}
            </Alert>
          ))
        )}
      </div>
      <Button variant="default" onClick={close}>
        Done
      </Button>
    </Stack>
  );
}
