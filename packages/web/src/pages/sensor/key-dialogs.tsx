import { Button, Modal, Select, Stack, TextInput } from '@mantine/core';
import { useForm } from '@mantine/form';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { answered, api, ifMatch, type Schemas } from '../../api/client.ts';
import { CopyButton } from '../../parts/copy-button.tsx';
import { Editing, FormEnd, FormProblem } from '../../parts/form-problem.tsx';
import { Code } from '../../parts/page.tsx';
import { Secret } from '../../parts/secret.tsx';

type Sensor = Schemas['Sensor'];

interface DialogProps {
  sensor: Sensor;
  opened: boolean;
  close: () => void;
}

const OVERLAPS = [
  { value: '0', label: 'at once: the one before is refused' },
  { value: '3600', label: 'an hour' },
  { value: '86400', label: 'a day' },
  { value: '604800', label: 'a week' },
  { value: '2592000', label: '30 days' },
];

/** Gives the sensor another key, with a time in which both hold. */
export function ReplaceKeyDialog({ sensor, opened, close }: DialogProps) {
  return (
    <Modal opened={opened} onClose={close} title="Replace the key" closeButtonProps={{ 'aria-label': 'Close' }}>
      <Editing value={sensor}>{(before) => <ReplaceKeyForm sensor={before} close={close} />}</Editing>
    </Modal>
  );
}

function ReplaceKeyForm({ sensor, close }: Omit<DialogProps, 'opened'>) {
  const client = useQueryClient();
  const form = useForm({ mode: 'uncontrolled', initialValues: { key: '', overlap: '86400' } });
  const replace = useMutation({
    mutationFn: ({ key, overlap }: typeof form.values) =>
      answered(
        api.POST('/api/v1/sensors/{uuid}/key', {
          params: { path: { uuid: sensor.uuid }, header: ifMatch(sensor.revision) },
          body: { overlapSeconds: Number(overlap), ...(key !== '' && { key }) },
        }),
      ),
    onSuccess: async ({ key }) => {
      await client.invalidateQueries({ queryKey: ['sensors'] });
      if (key === null) close();
    },
  });
  const made = replace.data?.key;
  if (typeof made === 'string') {
    return (
      <Stack gap="sm">
        <Secret value={made} what="key" />
        <Button onClick={close}>I have it</Button>
      </Stack>
    );
  }
  return (
    <form onSubmit={form.onSubmit((values) => replace.mutate(values))} noValidate>
      <Stack gap="sm">
        <TextInput
          label="New key"
          description="Empty: one is made by chance and shown once"
          autoComplete="off"
          classNames={{ input: 'mono' }}
          key={form.key('key')}
          {...form.getInputProps('key')}
        />
        <Select
          label="The key before it holds too for"
          allowDeselect={false}
          data={OVERLAPS}
          key={form.key('overlap')}
          {...form.getInputProps('overlap')}
        />
        <FormEnd change={replace}>Replace</FormEnd>
      </Stack>
    </form>
  );
}

/** Shows the key, which is recorded. */
export function RevealKeyDialog({ sensor, opened, close }: DialogProps) {
  const reveal = useMutation({
    mutationFn: () =>
      answered(api.POST('/api/v1/sensors/{uuid}/key/reveal', { params: { path: { uuid: sensor.uuid } } })),
  });
  function leave(): void {
    close();
    reveal.reset();
  }
  return (
    <Modal opened={opened} onClose={leave} title="Reveal the key" closeButtonProps={{ 'aria-label': 'Close' }}>
      <Stack gap="sm">
        {reveal.data === undefined ? (
          <>
            <p style={{ margin: 0, fontSize: 14 }}>
              Whoever has the key can send in this sensor's name. That you saw it is recorded in the audit.
            </p>
            <FormProblem error={reveal.error} />
            <Button color="red.8" loading={reveal.isPending} onClick={() => reveal.mutate()}>
              Reveal it, and record that I did
            </Button>
          </>
        ) : (
          <>
            <Code label="Key" copy={<CopyButton value={reveal.data.key} what="key" />}>
              {reveal.data.key}
            </Code>
            {reveal.data.keyEncoding === 'base64' && (
              <p className="dimmed" style={{ margin: 0, fontSize: 13 }}>
                Its bytes are not text: this is base64 of them.
              </p>
            )}
            <Button onClick={leave}>Close</Button>
          </>
        )}
      </Stack>
    </Modal>
  );
}
