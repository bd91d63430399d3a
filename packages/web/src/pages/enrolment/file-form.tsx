import { Button, Stack } from '@mantine/core';
import { useForm } from '@mantine/form';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { api } from '../../api/client.ts';
import { ClientField, type ClientKind, saveConfiguration, unpacking } from '../../parts/configuration.tsx';
import { CopyButton } from '../../parts/copy-button.tsx';
import { FormEnd } from '../../parts/form-problem.tsx';
import { Code } from '../../parts/page.tsx';
import { SensorFields, type SensorValues, serverOr } from '../../parts/sensor-fields.tsx';

interface Values extends SensorValues {
  client: ClientKind;
}

/** Registers a sensor and downloads its client's configuration, the key in it. */
export function FileForm({ close }: { close: () => void }) {
  const queries = useQueryClient();
  const form = useForm<Values>({
    mode: 'uncontrolled',
    initialValues: { name: '', type: '3', server: '', mail: '', approve: true, client: 'go' },
  });
  const make = useMutation({
    mutationFn: async ({ server, ...about }: Values) => {
      const body = { ...about, server: await serverOr(server, queries) };
      return saveConfiguration(api.POST('/api/v1/enrolments/configuration', { body, parseAs: 'blob' }));
    },
    onSuccess: () => queries.invalidateQueries({ queryKey: ['sensors'] }),
  });
  if (make.data !== undefined) {
    const unpack = unpacking(make.data.file);
    return (
      <Stack gap="sm">
        <p style={{ margin: 0, fontSize: 14 }}>
          Sensor{' '}
          <Link to="/sensors/$uuid" params={{ uuid: make.data.uuid }}>
            {make.data.uuid.slice(0, 8)}
          </Link>{' '}
          is registered. The file holds its key, which this page does not show: bring it to the sensor, unpack it there
          and delete it here.
        </p>
        <Code label="Commands" copy={<CopyButton value={unpack} what="commands" />}>
          {unpack}
        </Code>
        <Button variant="default" onClick={close}>
          Done
        </Button>
      </Stack>
    );
  }
  return (
    <form onSubmit={form.onSubmit((values) => make.mutate(values))} noValidate>
      <Stack gap="sm">
        <p style={{ margin: 0, fontSize: 14 }}>
          Registers a sensor with a new key and downloads all that its client reads; that is recorded.
        </p>
        <SensorFields form={form} />
        <ClientField form={form} />
        <FormEnd change={make}>Register and download</FormEnd>
      </Stack>
    </form>
  );
}
