import { Button, Select, Stack } from '@mantine/core';
import { useForm } from '@mantine/form';
import { IconDownload } from '@tabler/icons-react';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { answered, api, type Schemas } from '../../api/client.ts';
import { CopyButton } from '../../parts/copy-button.tsx';
import { FormProblem } from '../../parts/form-problem.tsx';
import { Code } from '../../parts/page.tsx';
import { saveFile } from '../../parts/save-file.ts';
import { SensorFields, type SensorValues, useSuggestedServer } from './sensor-fields.tsx';

interface Values extends SensorValues {
  client: Schemas['ConfigurationDraft']['client'];
}

/** What was downloaded. */
interface Downloaded {
  readonly file: string;
  readonly uuid: string;
}

/** Registers a sensor and downloads its client's configuration, the key in it. */
export function FileForm({ close }: { close: () => void }) {
  const queries = useQueryClient();
  const suggested = useSuggestedServer();
  const form = useForm<Values>({
    mode: 'uncontrolled',
    initialValues: { name: '', type: '3', server: '', mail: '', approve: true, client: 'go' },
  });
  const make = useMutation({
    mutationFn: async ({ server, ...about }: Values): Promise<Downloaded> => {
      const body = { ...about, server: server.trim() || suggested };
      const asked = api.POST('/api/v1/enrolments/configuration', { body, parseAs: 'blob' });
      const archive = await answered(asked);
      const { headers } = (await asked).response;
      const [, file = 'd4-sensor.tar.gz'] = /filename="([^"]+)"/.exec(headers.get('content-disposition') ?? '') ?? [];
      saveFile(file, archive);
      return { file, uuid: headers.get('content-location')?.split('/').at(-1) ?? '' };
    },
    onSuccess: () => queries.invalidateQueries({ queryKey: ['sensors'] }),
  });
  if (make.data !== undefined) {
    const unpack = `tar -xzf ${make.data.file}\ncat ${make.data.file.replace('.tar.gz', '')}/README`;
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
        <Select
          label="Client"
          allowDeselect={false}
          data={[
            { value: 'go', label: 'The Go client' },
            { value: 'c', label: 'The C client, with socat' },
            { value: 'd4', label: 'd4 client' },
          ]}
          key={form.key('client')}
          {...form.getInputProps('client')}
        />
        <FormProblem error={make.error} />
        <Button type="submit" loading={make.isPending} leftSection={<IconDownload size={16} />}>
          Register and download
        </Button>
      </Stack>
    </form>
  );
}
