import { ActionIcon, Checkbox, Modal, Stack, TextInput } from '@mantine/core';
import { useForm } from '@mantine/form';
import { IconRefresh } from '@tabler/icons-react';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { answered, api } from '../../api/client.ts';
import { FormEnd } from '../../parts/form-problem.tsx';

/** 32 random bytes as text. */
function newKey(): string {
  return btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(32))))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replace(/=+$/, '');
}

/** Registers a sensor. @param uuid what is known already: of one that knocked */
export function AddSensorDialog({ opened, close, uuid }: { opened: boolean; close: () => void; uuid?: string }) {
  const client = useQueryClient();
  const navigate = useNavigate();
  const form = useForm({
    mode: 'uncontrolled',
    initialValues: {
      uuid: uuid ?? crypto.randomUUID(),
      key: uuid === undefined ? newKey() : '',
      name: '',
      description: '',
      mail: '',
      approve: true,
    },
    validate: {
      uuid: (value) => (value.trim() === '' ? "Enter the sensor's uuid" : null),
      key: (value) => (value === '' ? 'Enter the key that the sensor has' : null),
    },
  });
  const add = useMutation({
    mutationFn: (values: typeof form.values) =>
      answered(api.POST('/api/v1/sensors', { body: { ...values, uuid: values.uuid.trim() } })),
    onSuccess: async (sensor) => {
      close();
      form.setValues({ uuid: crypto.randomUUID(), key: newKey(), name: '', description: '', mail: '' });
      await client.invalidateQueries({ queryKey: ['sensors'] });
      await client.invalidateQueries({ queryKey: ['status'] });
      await navigate({ to: '/sensors/$uuid', params: { uuid: sensor.uuid } });
    },
  });
  return (
    <Modal
      opened={opened}
      onClose={close}
      title={uuid === undefined ? 'Add a sensor' : 'Register this sensor'}
      closeButtonProps={{ 'aria-label': 'Close' }}
    >
      <form onSubmit={form.onSubmit((values) => add.mutate(values))} noValidate>
        <Stack gap="sm">
          <TextInput
            label="Uuid"
            description={uuid === undefined ? 'A new one, or the one in the sensor’s file “uuid”' : undefined}
            readOnly={uuid !== undefined}
            classNames={{ input: 'mono' }}
            key={form.key('uuid')}
            {...form.getInputProps('uuid')}
          />
          <TextInput
            label="Key"
            description="The same as in the sensor's file “key”. It cannot be read here later without leaving a trace"
            autoComplete="off"
            classNames={{ input: 'mono' }}
            rightSection={
              <ActionIcon
                variant="subtle"
                color="gray"
                aria-label="Make another key"
                title="Make another key"
                onClick={() => form.setFieldValue('key', newKey())}
              >
                <IconRefresh size={15} />
              </ActionIcon>
            }
            key={form.key('key')}
            {...form.getInputProps('key')}
          />
          <TextInput label="Name" key={form.key('name')} {...form.getInputProps('name')} />
          <TextInput
            label="Description"
            description="Where it stands, what it is for"
            key={form.key('description')}
            {...form.getInputProps('description')}
          />
          <TextInput label="Owner's mail" type="email" key={form.key('mail')} {...form.getInputProps('mail')} />
          <Checkbox
            label="Approve at once"
            key={form.key('approve')}
            {...form.getInputProps('approve', { type: 'checkbox' })}
          />
          <FormEnd change={add}>Register</FormEnd>
        </Stack>
      </form>
    </Modal>
  );
}
