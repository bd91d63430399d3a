import { ActionIcon, Button, Menu, Modal, Select, Stack, Table, TextInput } from '@mantine/core';
import { useForm } from '@mantine/form';
import { useDisclosure } from '@mantine/hooks';
import { modals } from '@mantine/modals';
import { IconDots, IconLock, IconPlus } from '@tabler/icons-react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useAction } from '../../api/action.ts';
import { answered, api, ifMatch, type Schemas } from '../../api/client.ts';
import { users } from '../../api/queries.ts';
import { ask } from '../../parts/ask.tsx';
import { FormProblem } from '../../parts/form-problem.tsx';
import { formatCount } from '../../parts/format.ts';
import { Loaded } from '../../parts/loaded.tsx';
import { Empty, Page, Panel } from '../../parts/page.tsx';
import { Secret } from '../../parts/secret.tsx';
import { Time } from '../../parts/time.tsx';
import { useMay, useSession } from '../../session/session.tsx';
import { AllTokens } from './all-tokens.tsx';
import { Lockouts } from './lockouts.tsx';

type User = Schemas['User'];
type Role = User['role'];

const ROLES: readonly { value: Role; label: string }[] = [
  { value: 'admin', label: 'admin: everything' },
  { value: 'user', label: 'user: sensors, queues, blocks' },
  { value: 'viewer', label: 'viewer: sees, changes nothing' },
  { value: 'sensor_register', label: 'sensor_register: registers sensors, by token' },
];

/** Who may sign in, their tokens, and who is locked out. */
export function PeoplePage() {
  const may = useMay('admin');
  const [adding, { open, close }] = useDisclosure(false);
  if (!may) {
    return (
      <Page title="People">
        <Panel>
          <Empty icon={<IconLock size={30} stroke={1.4} />} title="For administrators">
            Your own password, browsers and tokens are under Account, in the menu with your name.
          </Empty>
        </Panel>
      </Page>
    );
  }
  return (
    <Page
      title="People"
      about="Who may sign in, with which role, and with which tokens"
      actions={
        <Button leftSection={<IconPlus size={16} />} onClick={open}>
          Add somebody
        </Button>
      }
    >
      <div style={{ display: 'grid', gap: 16 }}>
        <Users />
        <Lockouts />
        <AllTokens />
      </div>
      <AddDialog opened={adding} close={close} />
    </Page>
  );
}

function Users() {
  const query = useQuery(users);
  const { mail: own } = useSession();
  return (
    <Panel flush title="Users">
      <Loaded query={query}>
        {({ items }) => (
          <Table>
            <Table.Thead>
              <Table.Tr>
                <Table.Th>Mail address</Table.Th>
                <Table.Th className="from-600">Role</Table.Th>
                <Table.Th className="from-600">State</Table.Th>
                <Table.Th className="from-900 end">Signed in</Table.Th>
                <Table.Th className="from-900 end">Tokens</Table.Th>
                <Table.Th className="from-600 end">Last used</Table.Th>
                <Table.Th w={50}>
                  <span className="only-read">Actions</span>
                </Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {items.map((user) => (
                <Table.Tr key={user.mail}>
                  <Table.Td style={{ overflowWrap: 'anywhere' }}>
                    {user.mail}
                    {user.mail === own && <span className="dimmed"> (you)</span>}
                    <div className="to-600">
                      {user.role}, {stateOf(user)}
                    </div>
                  </Table.Td>
                  <Table.Td className="from-600">{user.role}</Table.Td>
                  <Table.Td className="from-600 nowrap">{stateOf(user)}</Table.Td>
                  <Table.Td className="from-900 end">{formatCount(user.sessions)}</Table.Td>
                  <Table.Td className="from-900 end">{formatCount(user.tokens)}</Table.Td>
                  <Table.Td className="from-600 end">
                    <Time at={user.lastUsedAt} ago />
                  </Table.Td>
                  <Table.Td>
                    <UserActions user={user} own={user.mail === own} />
                  </Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        )}
      </Loaded>
    </Panel>
  );
}

function stateOf({ disabled, locked, mustChangePassword }: User) {
  if (disabled) return 'disabled';
  if (locked) return <span style={{ color: 'var(--d4-warn)' }}>held back after failures</span>;
  if (mustChangePassword) return 'must choose a password';
  return <span className="dimmed">active</span>;
}

function UserActions({ user, own }: { user: User; own: boolean }) {
  const { mail, revision, disabled } = user;
  const params = { params: { path: { mail } } };
  const stale = ['users', 'session'];
  const change = useAction(
    (body: { role?: Role; disabled?: boolean }) =>
      answered(api.PATCH('/api/v1/users/{mail}', { params: { ...params.params, header: ifMatch(revision) }, body })),
    { done: () => `${mail} was changed`, stale },
  );
  const reset = useAction(() => answered(api.POST('/api/v1/users/{mail}/password', { ...params, body: {} })), {
    stale,
  });
  const signOut = useAction(() => answered(api.DELETE('/api/v1/users/{mail}/sessions', params)), {
    done: ({ sessions }) => `${mail} was signed out of ${sessions} ${sessions === 1 ? 'browser' : 'browsers'}`,
    stale,
  });
  const remove = useAction(() => answered(api.DELETE('/api/v1/users/{mail}', params)), {
    done: () => `${mail} was removed`,
    stale,
  });
  return (
    <Menu position="bottom-end">
      <Menu.Target>
        <ActionIcon variant="subtle" color="gray" aria-label={`What to do with ${mail}`}>
          <IconDots size={17} />
        </ActionIcon>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>Role</Menu.Label>
        {ROLES.map(({ value, label }) => (
          <Menu.Item key={value} disabled={own || value === user.role} onClick={() => change.mutate({ role: value })}>
            {label}
          </Menu.Item>
        ))}
        <Menu.Divider />
        <Menu.Item
          disabled={own}
          onClick={() =>
            ask({
              title: `Set a new password for ${mail}?`,
              text: 'One is made by chance and shown to you once; it must be changed at the next login. All browsers are signed out.',
              confirm: 'Set a new password',
              onConfirm: () => reset.mutate(undefined, { onSuccess: (added) => showPassword(added) }),
            })
          }
        >
          New password
        </Menu.Item>
        <Menu.Item onClick={() => signOut.mutate(undefined)}>Sign out everywhere</Menu.Item>
        <Menu.Item disabled={own} onClick={() => change.mutate({ disabled: !disabled })}>
          {disabled ? 'Enable' : 'Disable'}
        </Menu.Item>
        <Menu.Item
          color="red"
          disabled={own}
          onClick={() =>
            ask({
              title: `Remove ${mail}?`,
              text: 'The user and all tokens are gone. What was done stays in the audit.',
              confirm: 'Remove',
              onConfirm: () => remove.mutate(undefined),
            })
          }
        >
          Remove
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}

function showPassword({ user, password }: Schemas['UserAdded']): void {
  if (password === null) return;
  modals.open({
    title: `Password of ${user.mail}`,
    closeButtonProps: { 'aria-label': 'Close' },
    children: (
      <Stack gap="sm">
        <Secret value={password} what="password" />
      </Stack>
    ),
  });
}

function AddDialog({ opened, close }: { opened: boolean; close: () => void }) {
  const client = useQueryClient();
  const [failed, setFailed] = useState<unknown>(null);
  const form = useForm({
    mode: 'uncontrolled',
    initialValues: { mail: '', role: 'viewer' as string },
    validate: { mail: (value) => (value.includes('@') ? null : 'Enter a mail address') },
  });
  const add = useMutation({
    mutationFn: ({ mail, role }: typeof form.values) =>
      answered(api.POST('/api/v1/users', { body: { mail: mail.trim(), role: role as Role } })),
    onSuccess: async (added) => {
      form.reset();
      setFailed(null);
      close();
      showPassword(added);
      await client.invalidateQueries({ queryKey: ['users'] });
    },
    onError: setFailed,
  });
  return (
    <Modal opened={opened} onClose={close} title="Add somebody" closeButtonProps={{ 'aria-label': 'Close' }}>
      <form onSubmit={form.onSubmit((values) => add.mutate(values))} noValidate>
        <Stack gap="sm">
          <TextInput
            label="Mail address"
            type="email"
            data-autofocus
            autoComplete="off"
            key={form.key('mail')}
            {...form.getInputProps('mail')}
          />
          <Select
            label="Role"
            allowDeselect={false}
            data={[...ROLES]}
            key={form.key('role')}
            {...form.getInputProps('role')}
          />
          <FormProblem error={failed} />
          <Button type="submit" loading={add.isPending}>
            Add, with a password by chance
          </Button>
        </Stack>
      </form>
    </Modal>
  );
}
