import { Tabs } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import type { Schemas } from '../../api/client.ts';
import { status } from '../../api/queries.ts';
import { CopyButton } from '../../parts/copy-button.tsx';
import { Code, Panel } from '../../parts/page.tsx';
import { attachCommands } from './attach-commands.ts';

/** How an analyzer takes items from this queue, for each kind. */
export function Attach({ queue }: { queue: Schemas['Queue'] }) {
  const { data } = useQuery(status);
  const commands = attachCommands(queue, data?.addresses?.redis ?? '127.0.0.1:6380');
  return (
    <Panel title="Attach a consumer">
      <Tabs defaultValue={commands[0]?.name ?? null} keepMounted={false}>
        <Tabs.List mb="sm">
          {commands.map(({ name }) => (
            <Tabs.Tab key={name} value={name}>
              {name}
            </Tabs.Tab>
          ))}
        </Tabs.List>
        {commands.map(({ name, text }) => (
          <Tabs.Panel key={name} value={name}>
            <Code label={`For ${name}`} copy={<CopyButton value={text} what={`what ${name} needs`} />}>
              {text}
            </Code>
          </Tabs.Panel>
        ))}
      </Tabs>
      <p className="dimmed" style={{ margin: '10px 0 0', fontSize: 13 }}>
        The address is the server's own; from elsewhere, use its name and a password or this queue's credential.
      </p>
    </Panel>
  );
}
