import { Select, Stack, TextInput } from '@mantine/core';
import { useForm } from '@mantine/form';
import { notifications } from '@mantine/notifications';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { answered, api, type Schemas } from '../../api/client.ts';
import { types } from '../../api/queries.ts';
import { FormEnd } from '../../parts/form-problem.tsx';
import { HOUR_AGO_MS, momentIn, notAMoment, writeMoment } from './moments.ts';

/** Puts a part of the past into a queue, beside what comes. */
export function ReplayForm({ queue: { uuid, topic }, close }: { queue: Schemas['Queue']; close: () => void }) {
  const client = useQueryClient();
  const accepted = useQuery(types);
  const form = useForm({
    mode: 'uncontrolled',
    initialValues: {
      from: writeMoment(Date.now() - HOUR_AGO_MS),
      to: writeMoment(Date.now()),
      type: topic,
      sensor: '',
    },
    validate: {
      from: notAMoment,
      to: (value, { from }) =>
        notAMoment(value) ?? ((momentIn(from) ?? 0) < (momentIn(value) ?? 0) ? null : 'Later than the beginning'),
    },
  });
  const replay = useMutation({
    mutationFn: ({ from, to, type, sensor }: typeof form.values) =>
      answered(
        api.POST('/api/v1/queues/{uuid}/replay', {
          params: { path: { uuid } },
          body: {
            from: momentIn(from) ?? 0,
            to: momentIn(to) ?? 0,
            ...(type !== topic && { type }),
            ...(sensor.trim() !== '' && { sensor: sensor.trim() }),
          },
        }),
      ),
    onSuccess: async ({ source, left }) => {
      close();
      if (source === 'journal' && left === 0) {
        const message = 'There is nothing in that range: nothing comes of this replay';
        notifications.show({ message, color: 'orange', autoClose: 12_000 });
      }
      await client.invalidateQueries({ queryKey: ['queues'] });
    },
  });
  return (
    <form onSubmit={form.onSubmit((values) => replay.mutate(values))} noValidate>
      <Stack gap="sm">
        <p style={{ margin: 0, fontSize: 14 }}>
          Records of that time come in front of what waits, from the journal, and from the archive where that reaches
          further back.
        </p>
        <TextInput
          label="From"
          type="datetime-local"
          step={1}
          data-autofocus
          key={form.key('from')}
          {...form.getInputProps('from')}
        />
        <TextInput label="To" type="datetime-local" step={1} key={form.key('to')} {...form.getInputProps('to')} />
        <Select
          label="Type"
          allowDeselect={false}
          searchable
          data={(accepted.data?.items ?? []).map(({ name, title }) => ({ value: name, label: `${name} · ${title}` }))}
          key={form.key('type')}
          {...form.getInputProps('type')}
        />
        <TextInput
          label="Only this sensor"
          description="Its uuid; empty: all that the queue takes"
          classNames={{ input: 'mono' }}
          key={form.key('sensor')}
          {...form.getInputProps('sensor')}
        />
        <FormEnd change={replay}>Begin the replay</FormEnd>
      </Stack>
    </form>
  );
}
