import { Button, Modal, Select, Stack, Table, TextInput } from '@mantine/core';
import { useForm } from '@mantine/form';
import { useDisclosure } from '@mantine/hooks';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useAction } from '../../api/action.ts';
import { answered, api } from '../../api/client.ts';
import { myTokens } from '../../api/queries.ts';
import { ask } from '../../parts/ask.tsx';
import { FormEnd } from '../../parts/form-problem.tsx';
import { Loaded } from '../../parts/loaded.tsx';
import { Empty, Panel } from '../../parts/page.tsx';
import { Secret } from '../../parts/secret.tsx';
import { Time } from '../../parts/time.tsx';
import { useSession } from '../../session/session.tsx';
import type { Role } from '../../session/session-api.ts';

const DAY_MS = 86_400_000;
/** What each role may hand on to a token; the server decides it again. */
const GRANTS: Readonly<Record<Role, readonly Role[]>> = {
  admin: ['admin', 'user', 'viewer', 'sensor_register'],
  user: ['user', 'viewer', 'sensor_register'],
  viewer: ['viewer'],
  sensor_register: ['sensor_register'],
};

/** The tokens with which one's own programs ask. */
export function MyTokens() {
  const query = useQuery(myTokens);
  const [opened, { open, close }] = useDisclosure(false);
  const revoke = useAction(
    (id: string) => answered(api.DELETE('/api/v1/me/tokens/{id}', { params: { path: { id } } })),
    { done: () => 'The token works no longer', stale: ['me'] },
  );
  return (
    <Panel
      flush
      title="API tokens"
      actions={
        <Button size="xs" variant="default" onClick={open}>
          New token
        </Button>
      }
    >
      <Loaded query={query} rows={2}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty title="No tokens">
              A program that asks the HTTP interface needs one. It is shown once and stored as a hash.
            </Empty>
          ) : (
            <Table>
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>For</Table.Th>
                  <Table.Th className="from-480">Role</Table.Th>
                  <Table.Th className="from-480">Last used</Table.Th>
                  <Table.Th>Expires</Table.Th>
                  <Table.Th>
                    <span className="only-read">Actions</span>
                  </Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {items.map(({ id, name, role, lastUsedAt, expiresAt, expired }) => (
                  <Table.Tr key={id}>
                    <Table.Td style={{ overflowWrap: 'anywhere' }}>
                      {name}
                      <div className="to-480">{role}</div>
                    </Table.Td>
                    <Table.Td className="from-480">{role}</Table.Td>
                    <Table.Td className="from-480">
                      <Time at={lastUsedAt} ago />
                    </Table.Td>
                    <Table.Td>{expired ? 'expired' : <Time at={expiresAt} ago />}</Table.Td>
                    <Table.Td className="end">
                      <Button
                        size="compact-xs"
                        variant="default"
                        onClick={() =>
                          ask({
                            title: `Revoke the token “${name}”?`,
                            text: 'Programs that use it are refused at once.',
                            confirm: 'Revoke',
                            onConfirm: () => revoke.mutate(id),
                          })
                        }
                      >
                        Revoke
                      </Button>
                    </Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          )
        }
      </Loaded>
      <NewToken opened={opened} close={close} />
    </Panel>
  );
}

function NewToken({ opened, close }: { opened: boolean; close: () => void }) {
  const { role: own } = useSession();
  const client = useQueryClient();
  const [secret, setSecret] = useState<string>();
  const form = useForm({
    mode: 'uncontrolled',
    initialValues: { name: '', role: own as string, days: '90' },
    validate: { name: (value) => (value.trim() === '' ? 'Say what it is for' : null) },
  });
  const add = useMutation({
    mutationFn: ({ name, role, days }: typeof form.values) =>
      answered(
        api.POST('/api/v1/me/tokens', {
          body: {
            name: name.trim(),
            role: role as Role,
            ...(days !== 'never' && { expiresAt: Date.now() + Number(days) * DAY_MS }),
          },
        }),
      ),
    onSuccess: async (added) => {
      setSecret(added.secret);
      await client.invalidateQueries({ queryKey: ['me'] });
    },
  });
  function leave(): void {
    close();
    setSecret(undefined);
    form.reset();
  }
  return (
    <Modal opened={opened} onClose={leave} title="New token" closeButtonProps={{ 'aria-label': 'Close' }}>
      {secret === undefined ? (
        <form onSubmit={form.onSubmit((values) => add.mutate(values))} noValidate>
          <Stack gap="sm">
            <TextInput label="What it is for" data-autofocus key={form.key('name')} {...form.getInputProps('name')} />
            <Select
              label="Role"
              allowDeselect={false}
              data={[...GRANTS[own]]}
              key={form.key('role')}
              {...form.getInputProps('role')}
            />
            <Select
              label="Works for"
              allowDeselect={false}
              data={[
                { value: '7', label: '7 days' },
                { value: '90', label: '90 days' },
                { value: '365', label: 'a year' },
                { value: 'never', label: 'ever' },
              ]}
              key={form.key('days')}
              {...form.getInputProps('days')}
            />
            <FormEnd change={add}>Make the token</FormEnd>
          </Stack>
        </form>
      ) : (
        <Stack gap="sm">
          <Secret value={secret} what="token" />
          <Button onClick={leave}>I have it</Button>
        </Stack>
      )}
    </Modal>
  );
}
