import { ActionIcon, Button, Modal, Select, Stack, Table, Textarea, TextInput } from '@mantine/core';
import { useForm } from '@mantine/form';
import { useDisclosure } from '@mantine/hooks';
import { IconBan, IconPlus, IconTrash } from '@tabler/icons-react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useAction } from '../../api/action.ts';
import { answered, api, type Schemas } from '../../api/client.ts';
import { blocks } from '../../api/queries.ts';
import { ask } from '../../parts/ask.tsx';
import { FormEnd } from '../../parts/form-problem.tsx';
import { Loaded } from '../../parts/loaded.tsx';
import { Empty, Page, Panel } from '../../parts/page.tsx';
import { Time } from '../../parts/time.tsx';
import { useMay } from '../../session/session.tsx';

/** Addresses, networks and sensors that are not let in. */
export function BlocksPage() {
  const query = useQuery(blocks);
  const [opened, { open, close }] = useDisclosure(false);
  const may = useMay('user');
  const add = may && (
    <Button leftSection={<IconPlus size={16} />} onClick={open}>
      Block something
    </Button>
  );
  return (
    <Page title="Blocks" about="Addresses, networks and sensors whose connections are closed at once" actions={add}>
      <Panel flush>
        <Loaded query={query}>
          {({ items }) =>
            items.length === 0 ? (
              <Empty icon={<IconBan size={30} stroke={1.4} />} title="Nothing is blocked" action={add}>
                Block an address that knocks again and again, or a sensor that was lost. Blocks take effect at once.
              </Empty>
            ) : (
              <BlockTable blocks={items} may={may} />
            )
          }
        </Loaded>
      </Panel>
      <BlockDialog opened={opened} close={close} />
    </Page>
  );
}

function BlockTable({ blocks: items, may }: { blocks: readonly Schemas['Block'][]; may: boolean }) {
  const remove = useAction(
    (target: string) => answered(api.DELETE('/api/v1/blocks/{target}', { params: { path: { target } } })),
    { done: (_, target) => `${target} is no longer blocked`, stale: ['blocks', 'sensors'] },
  );
  return (
    <Table>
      <Table.Thead>
        <Table.Tr>
          <Table.Th>Target</Table.Th>
          <Table.Th className="from-900">Kind</Table.Th>
          <Table.Th className="from-600">Reason</Table.Th>
          <Table.Th className="from-900">By</Table.Th>
          <Table.Th className="from-900">Since</Table.Th>
          <Table.Th>Ends</Table.Th>
          {may && (
            <Table.Th w={50}>
              <span className="only-read">Actions</span>
            </Table.Th>
          )}
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {items.map(({ target, kind, reason, author, createdAt, expiresAt }) => (
          <Table.Tr key={target}>
            <Table.Td className="whole-from-600">
              <span className="mono">
                {kind === 'sensor' ? (
                  <Link to="/sensors/$uuid" params={{ uuid: target }} className="plain">
                    {target}
                  </Link>
                ) : (
                  target
                )}
              </span>
              {reason !== '' && <div className="to-600">{reason}</div>}
            </Table.Td>
            <Table.Td className="from-900">{kind}</Table.Td>
            <Table.Td className="from-600" style={{ overflowWrap: 'anywhere' }}>
              {reason === '' ? <span className="dimmed">none given</span> : reason}
            </Table.Td>
            <Table.Td className="from-900">{author ?? '–'}</Table.Td>
            <Table.Td className="from-900">
              <Time at={createdAt} ago />
            </Table.Td>
            <Table.Td>
              <Time at={expiresAt} ago />
            </Table.Td>
            {may && (
              <Table.Td>
                <ActionIcon
                  variant="subtle"
                  color="gray"
                  aria-label={`Remove the block of ${target}`}
                  title="Remove the block"
                  onClick={() =>
                    ask({
                      title: `Let ${target} in again?`,
                      text: 'Its connections are judged like all others from now on.',
                      confirm: 'Remove the block',
                      danger: false,
                      onConfirm: () => remove.mutate(target),
                    })
                  }
                >
                  <IconTrash size={16} />
                </ActionIcon>
              </Table.Td>
            )}
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}

const HOUR_MS = 3_600_000;
const ENDS = [
  { value: 'never', label: 'when somebody removes it' },
  { value: '1', label: 'in an hour' },
  { value: '24', label: 'in a day' },
  { value: '168', label: 'in a week' },
  { value: '720', label: 'in 30 days' },
];

/** Asks what to block, and why. @param target what is known already */
export function BlockDialog({ opened, close, target = '' }: { opened: boolean; close: () => void; target?: string }) {
  const client = useQueryClient();
  const form = useForm({
    mode: 'uncontrolled',
    initialValues: { target, reason: '', hours: 'never' },
    validate: { target: (value) => (value.trim() === '' ? 'Enter an address, a network or a uuid' : null) },
  });
  const add = useMutation({
    mutationFn: (values: typeof form.values) =>
      answered(
        api.POST('/api/v1/blocks', {
          body: {
            target: values.target.trim(),
            reason: values.reason.trim(),
            ...(values.hours !== 'never' && { expiresAt: Date.now() + Number(values.hours) * HOUR_MS }),
          },
        }),
      ),
    onSuccess: async () => {
      form.reset();
      close();
      await Promise.all([
        client.invalidateQueries({ queryKey: ['blocks'] }),
        client.invalidateQueries({ queryKey: ['sensors'] }),
      ]);
    },
  });
  return (
    <Modal opened={opened} onClose={close} title="Block" closeButtonProps={{ 'aria-label': 'Close' }}>
      <form onSubmit={form.onSubmit((values) => add.mutate(values))} noValidate>
        <Stack gap="sm">
          <TextInput
            label="Address, network or uuid"
            description="192.0.2.7, 192.0.2.0/24, 2001:db8::/48, or a sensor's uuid"
            data-autofocus={target === '' || undefined}
            key={form.key('target')}
            {...form.getInputProps('target')}
          />
          <Textarea
            label="Reason"
            description="For whoever wonders later"
            autosize
            minRows={2}
            key={form.key('reason')}
            {...form.getInputProps('reason')}
          />
          <Select
            label="Ends"
            allowDeselect={false}
            data={ENDS}
            key={form.key('hours')}
            {...form.getInputProps('hours')}
          />
          <FormEnd change={add} color="red.8">
            Block
          </FormEnd>
        </Stack>
      </form>
    </Modal>
  );
}
