import { Modal, Stack } from '@mantine/core';
import { useForm } from '@mantine/form';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { api, type Schemas } from '../../api/client.ts';
import { ClientField, type ClientKind, saveConfiguration, unpacking } from '../../parts/configuration.tsx';
import { CopyButton } from '../../parts/copy-button.tsx';
import { FormEnd } from '../../parts/form-problem.tsx';
import { Code } from '../../parts/page.tsx';
import { ServerField, serverOr, TypeField } from '../../parts/sensor-fields.tsx';

type Sensor = Schemas['Sensor'];

/** Downloads the configuration directory for the sensor's client, the key in it. */
export function ConfigurationDialog({ sensor, opened, close }: { sensor: Sensor; opened: boolean; close: () => void }) {
  return (
    <Modal
      opened={opened}
      onClose={close}
      size="lg"
      title="Configuration for the client"
      closeButtonProps={{ 'aria-label': 'Close' }}
    >
      <ConfigurationForm sensor={sensor} />
    </Modal>
  );
}

function ConfigurationForm({ sensor: { uuid, topics } }: { sensor: Sensor }) {
  const queries = useQueryClient();
  const form = useForm<{ client: ClientKind; type: string; server: string }>({
    mode: 'uncontrolled',
    initialValues: { client: 'd4', type: topics[0]?.topic ?? '3', server: '' },
  });
  const make = useMutation({
    mutationFn: async ({ client, type, server }: typeof form.values) => {
      const body = { client, type, server: await serverOr(server, queries) };
      return saveConfiguration(
        api.POST('/api/v1/sensors/{uuid}/configuration', { params: { path: { uuid } }, body, parseAs: 'blob' }),
      );
    },
  });
  const commands = make.data && unpacking(make.data.file);
  return (
    <form onSubmit={form.onSubmit((values) => make.mutate(values))} noValidate>
      <Stack gap="sm">
        <p style={{ margin: 0, fontSize: 14 }}>
          A folder with all that the client reads, the key in it; that it was handed out is recorded.
        </p>
        <ClientField form={form} />
        <TypeField form={form} />
        <ServerField form={form} />
        <FormEnd change={make}>Download it with the key</FormEnd>
        {commands !== undefined && (
          <Code label="Commands" copy={<CopyButton value={commands} what="commands" />}>
            {commands}
          </Code>
        )}
      </Stack>
    </form>
  );
}
