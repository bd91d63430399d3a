import { Modal, Stack, TagsInput, Textarea, TextInput } from '@mantine/core';
import { useForm } from '@mantine/form';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { answered, api, ifMatch, type Schemas } from '../../api/client.ts';
import { Editing, FormEnd } from '../../parts/form-problem.tsx';
import { bytesOrNothing, parseBytes, writeBytes } from '../../parts/format.ts';

type Sensor = Schemas['Sensor'];

/** What people know of a sensor, and what it may do. Refused where somebody else has changed it in the meantime. */
export function EditDialog({ sensor, opened, close }: { sensor: Sensor; opened: boolean; close: () => void }) {
  return (
    <Modal opened={opened} onClose={close} title="Edit the sensor" closeButtonProps={{ 'aria-label': 'Close' }}>
      <Editing value={sensor}>{(before) => <EditForm sensor={before} close={close} />}</Editing>
    </Modal>
  );
}

function EditForm({ sensor, close }: { sensor: Sensor; close: () => void }) {
  const client = useQueryClient();
  const form = useForm({
    mode: 'uncontrolled',
    initialValues: {
      name: sensor.name,
      tags: sensor.tags,
      description: sensor.description,
      mail: sensor.mail,
      maxBytesPerDay: writeBytes(sensor.maxBytesPerDay),
      maxBytesPerSecond: writeBytes(sensor.maxBytesPerSecond),
      maxPayloadBytes: writeBytes(sensor.maxPayloadBytes),
    },
    validate: { maxBytesPerDay: bytesOrNothing, maxBytesPerSecond: bytesOrNothing, maxPayloadBytes: bytesOrNothing },
  });
  const change = useMutation({
    mutationFn: ({ name, tags, description, mail, ...limits }: typeof form.values) =>
      answered(
        api.PATCH('/api/v1/sensors/{uuid}', {
          params: { path: { uuid: sensor.uuid }, header: ifMatch(sensor.revision) },
          body: {
            name: name.trim(),
            tags,
            description,
            mail: mail.trim(),
            maxBytesPerDay: parseBytes(limits.maxBytesPerDay) ?? null,
            maxBytesPerSecond: parseBytes(limits.maxBytesPerSecond) ?? null,
            maxPayloadBytes: parseBytes(limits.maxPayloadBytes) ?? null,
          },
        }),
      ),
    onSuccess: close,
    onSettled: () => client.invalidateQueries({ queryKey: ['sensors'] }),
  });
  return (
    <form onSubmit={form.onSubmit((values) => change.mutate(values))} noValidate>
      <Stack gap="sm">
        <TextInput label="Name" data-autofocus key={form.key('name')} {...form.getInputProps('name')} />
        <TagsInput
          label="Tags"
          description="Words to find it by; Enter after each"
          clearable
          clearButtonProps={{ 'aria-label': 'No tags' }}
          key={form.key('tags')}
          {...form.getInputProps('tags')}
        />
        <Textarea
          label="Description"
          autosize
          minRows={2}
          maxRows={8}
          key={form.key('description')}
          {...form.getInputProps('description')}
        />
        <TextInput label="Owner's mail" type="email" key={form.key('mail')} {...form.getInputProps('mail')} />
        <TextInput
          label="Bytes a day (UTC)"
          description="Such as 500 MB; empty for no limit"
          key={form.key('maxBytesPerDay')}
          {...form.getInputProps('maxBytesPerDay')}
        />
        <TextInput
          label="Bytes a second"
          key={form.key('maxBytesPerSecond')}
          {...form.getInputProps('maxBytesPerSecond')}
        />
        <TextInput
          label="Bytes in a payload"
          description="Empty for the server's own limit"
          key={form.key('maxPayloadBytes')}
          {...form.getInputProps('maxPayloadBytes')}
        />
        <FormEnd change={change}>Save</FormEnd>
      </Stack>
    </form>
  );
}
