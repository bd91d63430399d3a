import { Button, Modal, Stack, TextInput } from '@mantine/core';
import { useState } from 'react';
import { useAction } from '../../api/action.ts';
import { answered, api, type Schemas } from '../../api/client.ts';
import { sensorName } from '../../parts/sensor-name.ts';

/** Erases what the server has of a sensor; who asks for it types the beginning of the uuid, so that it is this one. */
export function EraseDialog({
  sensor,
  opened,
  close,
}: {
  sensor: Schemas['Sensor'];
  opened: boolean;
  close: () => void;
}) {
  const [typed, type] = useState('');
  const { uuid } = sensor;
  const wanted = uuid.slice(0, 8);
  const erase = useAction(() => answered(api.DELETE('/api/v1/sensors/{uuid}/data', { params: { path: { uuid } } })), {
    done: () => 'It is being erased; how far that is stands under Storage',
    stale: ['retention', 'archive', 'sensors'],
  });
  function leave(): void {
    type('');
    close();
  }
  return (
    <Modal opened={opened} onClose={leave} title="Erase its data" closeButtonProps={{ 'aria-label': 'Close' }}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (typed.trim() === wanted) erase.mutate(undefined, { onSuccess: leave });
        }}
      >
        <Stack gap="sm">
          <p style={{ margin: 0, fontSize: 14 }}>
            Everything that {sensorName(sensor)} sent is removed from the archive and overwritten in the journal, also
            what queues and exporters have not delivered. The sensor stays registered. It cannot be undone.
          </p>
          <TextInput
            label={`Type ${wanted} to confirm`}
            autoComplete="off"
            data-autofocus
            classNames={{ input: 'mono' }}
            value={typed}
            onChange={(event) => type(event.currentTarget.value)}
          />
          <Button type="submit" color="red.8" disabled={typed.trim() !== wanted} loading={erase.isPending}>
            Erase it all
          </Button>
        </Stack>
      </form>
    </Modal>
  );
}
