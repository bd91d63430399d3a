import { ActionIcon, Button, Modal, Stack, Table, TextInput } from '@mantine/core';
import { useForm } from '@mantine/form';
import { useDisclosure } from '@mantine/hooks';
import { IconPlus, IconTrash } from '@tabler/icons-react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useAction } from '../../api/action.ts';
import { answered, api, type Schemas } from '../../api/client.ts';
import { status, types } from '../../api/queries.ts';
import { ask } from '../../parts/ask.tsx';
import { Bytes } from '../../parts/bytes.tsx';
import { FormEnd } from '../../parts/form-problem.tsx';
import { formatCount } from '../../parts/format.ts';
import { Loaded } from '../../parts/loaded.tsx';
import { Empty, Page, Panel } from '../../parts/page.tsx';
import { Time } from '../../parts/time.tsx';
import { useMay } from '../../session/session.tsx';

/** What the server accepts, and what it holds of each. */
export function TypesPage() {
  const query = useQuery(types);
  const server = useQuery(status);
  const [opened, { open, close }] = useDisclosure(false);
  const may = useMay('admin');
  const add = may && (
    <Button leftSection={<IconPlus size={16} />} onClick={open}>
      Accept a type
    </Button>
  );
  return (
    <Page title="Types" about="What sensors may send. Anything else is refused, and counted" actions={add}>
      <Panel flush>
        <Loaded query={query}>
          {({ items }) =>
            items.length === 0 ? (
              <Empty title="No type is accepted" action={add}>
                As long as none is, every sensor is refused. Accept a type by its number, or a meta type by its name.
              </Empty>
            ) : (
              <TypeTable types={items} server={server.data} may={may} />
            )
          }
        </Loaded>
      </Panel>
      <AddDialog opened={opened} close={close} />
    </Page>
  );
}

function TypeTable({
  types: items,
  server,
  may,
}: {
  types: readonly Schemas['Type'][];
  server: Schemas['Status'] | undefined;
  may: boolean;
}) {
  const remove = useAction(
    (name: string) => answered(api.DELETE('/api/v1/types/{name}', { params: { path: { name } } })),
    { done: (_, name) => `Type ${name} is accepted no longer`, stale: ['types', 'status'] },
  );
  const held = new Map(server?.topics.map((topic) => [topic.topic, topic]));
  return (
    <Table>
      <Table.Thead>
        <Table.Tr>
          <Table.Th>Type</Table.Th>
          <Table.Th className="from-600">What it carries</Table.Th>
          <Table.Th className="from-900 end">Connections</Table.Th>
          <Table.Th className="from-600 end">Queues</Table.Th>
          <Table.Th className="from-600 end">Items held</Table.Th>
          <Table.Th className="end">In the journal</Table.Th>
          <Table.Th className="from-900">Accepted</Table.Th>
          {may && (
            <Table.Th w={50}>
              <span className="only-read">Actions</span>
            </Table.Th>
          )}
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {items.map(({ name, title, createdAt }) => {
          const topic = held.get(name);
          return (
            <Table.Tr key={name}>
              <Table.Td>
                <Link to="/sensors" search={{ type: name }} className="plain mono" title="Who sends it">
                  {name}
                </Link>
                <div className="to-600">{title}</div>
              </Table.Td>
              <Table.Td className="from-600">{title}</Table.Td>
              <Table.Td className="from-900 end">
                {formatCount(server?.sessions.filter((session) => session.topic === name).length ?? 0)}
              </Table.Td>
              <Table.Td className="from-600 end">
                {formatCount(server?.queues.filter((queue) => queue.topic === name).length ?? 0)}
              </Table.Td>
              <Table.Td className="from-600 end">{formatCount(topic?.records ?? 0)}</Table.Td>
              <Table.Td className="end">
                <Bytes value={topic?.bytes ?? 0} />
              </Table.Td>
              <Table.Td className="from-900">
                <Time at={createdAt} ago />
              </Table.Td>
              {may && (
                <Table.Td>
                  <ActionIcon
                    variant="subtle"
                    color="gray"
                    aria-label={`Accept type ${name} no longer`}
                    title="Accept it no longer"
                    onClick={() =>
                      ask({
                        title: `Accept type ${name} no longer?`,
                        text: 'Connections that send it are refused from now on. Its queues and records stay.',
                        confirm: 'Accept no longer',
                        onConfirm: () => remove.mutate(name),
                      })
                    }
                  >
                    <IconTrash size={16} />
                  </ActionIcon>
                </Table.Td>
              )}
            </Table.Tr>
          );
        })}
      </Table.Tbody>
    </Table>
  );
}

function AddDialog({ opened, close }: { opened: boolean; close: () => void }) {
  const client = useQueryClient();
  const form = useForm({
    mode: 'uncontrolled',
    initialValues: { name: '' },
    validate: { name: (value) => (value.trim() === '' ? 'Enter a number or a name' : null) },
  });
  const add = useMutation({
    mutationFn: ({ name }: typeof form.values) => answered(api.POST('/api/v1/types', { body: { name: name.trim() } })),
    onSuccess: async () => {
      form.reset();
      close();
      await client.invalidateQueries({ queryKey: ['types'] });
    },
  });
  return (
    <Modal opened={opened} onClose={close} title="Accept a type" closeButtonProps={{ 'aria-label': 'Close' }}>
      <form onSubmit={form.onSubmit((values) => add.mutate(values))} noValidate>
        <Stack gap="sm">
          <TextInput
            label="Type"
            description="A number from 1 to 254, or the name of a meta type, such as maltrail"
            data-autofocus
            key={form.key('name')}
            {...form.getInputProps('name')}
          />
          <FormEnd change={add}>Accept</FormEnd>
        </Stack>
      </form>
    </Modal>
  );
}
