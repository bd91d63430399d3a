import { Stack, TextInput } from '@mantine/core';
import { useForm } from '@mantine/form';
import { notifications } from '@mantine/notifications';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { answered, api, type Schemas } from '../../api/client.ts';
import { FormEnd } from '../../parts/form-problem.tsx';
import { formatCount, formatLocal } from '../../parts/format.ts';
import { HOUR_AGO_MS, momentIn, notAMoment, writeMoment } from './moments.ts';

/** Moves a queue's position back. */
export function RewindForm({ queue: { uuid }, close }: { queue: Schemas['Queue']; close: () => void }) {
  const client = useQueryClient();
  const form = useForm({
    mode: 'uncontrolled',
    initialValues: { from: writeMoment(Date.now() - HOUR_AGO_MS) },
    validate: { from: notAMoment },
  });
  const rewind = useMutation({
    mutationFn: ({ from }: typeof form.values) =>
      answered(
        api.POST('/api/v1/queues/{uuid}/rewind', { params: { path: { uuid } }, body: { from: momentIn(from) ?? 0 } }),
      ),
    onSuccess: async ({ items, from, complete }) => {
      close();
      const what = `${formatCount(items)} items come again, from ${formatLocal(from)} on`;
      const message = complete ? what : `${what}; what was before is not in the journal any more: replay it`;
      notifications.show({ message, color: complete ? 'teal' : 'orange', autoClose: complete ? 4_000 : 12_000 });
      await client.invalidateQueries({ queryKey: ['queues'] });
    },
  });
  return (
    <form onSubmit={form.onSubmit((values) => rewind.mutate(values))} noValidate>
      <Stack gap="sm">
        <p style={{ margin: 0, fontSize: 14 }}>
          Everything that came from this time on comes again, as far as the journal reaches, before what waits now.
        </p>
        <TextInput
          label="Back to"
          type="datetime-local"
          step={1}
          data-autofocus
          key={form.key('from')}
          {...form.getInputProps('from')}
        />
        <FormEnd change={rewind}>Rewind</FormEnd>
      </Stack>
    </form>
  );
}
