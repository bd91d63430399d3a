import { Button, Modal, Tabs } from '@mantine/core';
import { FileForm } from './file-form.tsx';
import { TokenForm } from './token-form.tsx';

/** The ways to add a sensor: it enrols by itself, it gets a file, or its uuid and key are known. */
export function NewSensorDialog({
  opened,
  close,
  byUuid,
}: {
  opened: boolean;
  close: () => void;
  /** Asks for uuid and key. */
  byUuid: () => void;
}) {
  return (
    <Modal opened={opened} onClose={close} size="lg" title="Add a sensor" closeButtonProps={{ 'aria-label': 'Close' }}>
      <Tabs defaultValue="token" keepMounted={false}>
        <Tabs.List mb="sm">
          <Tabs.Tab value="token">By command</Tabs.Tab>
          <Tabs.Tab value="file">By file</Tabs.Tab>
          <Tabs.Tab value="uuid">By key</Tabs.Tab>
        </Tabs.List>
        <Tabs.Panel value="token">
          <TokenForm close={close} />
        </Tabs.Panel>
        <Tabs.Panel value="file">
          <FileForm close={close} />
        </Tabs.Panel>
        <Tabs.Panel value="uuid">
          <p style={{ margin: '0 0 12px', fontSize: 14 }}>
            A sensor that has a uuid and a key already is registered with these.
          </p>
          <Button onClick={byUuid}>Enter uuid and key</Button>
        </Tabs.Panel>
      </Tabs>
    </Modal>
  );
}
