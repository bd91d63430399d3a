import { Button, Modal, NumberInput, Select, Stack, Table, Textarea } from '@mantine/core';
import { useForm } from '@mantine/form';
import { useDisclosure } from '@mantine/hooks';
import { IconList, IconPlus } from '@tabler/icons-react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { Link, useNavigate } from '@tanstack/react-router';
import { answered, api, type Schemas } from '../../api/client.ts';
import { queues, rates, status, types } from '../../api/queries.ts';
import { FormEnd } from '../../parts/form-problem.tsx';
import { formatCount, formatRate, formatShort, shortUuid } from '../../parts/format.ts';
import { Loaded } from '../../parts/loaded.tsx';
import { Occurrences } from '../../parts/occurrences.tsx';
import { Empty, Page, Panel } from '../../parts/page.tsx';
import { Time } from '../../parts/time.tsx';
import { useMay } from '../../session/session.tsx';
import { sensorsIn } from './sensors-in.ts';

type Queue = Schemas['Queue'];

/** What waits for analyzers. */
export function QueuesPage() {
  const query = useQuery(queues);
  const server = useQuery(status);
  const may = useMay('user');
  const [adding, { open, close }] = useDisclosure(false);
  const add = may && (
    <Button leftSection={<IconPlus size={16} />} onClick={open}>
      New queue
    </Button>
  );
  const unknown = server.data?.unknownQueueConsumers ?? [];
  return (
    <Page title="Queues" about="What waits for analyzers" actions={add}>
      <div style={{ display: 'grid', gap: 16 }}>
        <Panel flush>
          <Loaded query={query} rows={6}>
            {({ items }) =>
              items.length === 0 ? (
                <Empty icon={<IconList size={30} stroke={1.4} />} title="No queue" action={add}>
                  An analyzer takes records from a queue. Make one for a type; it can start with what came before.
                </Empty>
              ) : (
                <QueueTable queues={items} />
              )
            }
          </Loaded>
        </Panel>
        {unknown.length > 0 && (
          <Panel flush title="Consumers of queues that are not there">
            <Occurrences
              what="Key"
              rows={unknown.map((row) => ({
                ...row,
                key: `${row.key} ${row.address}`,
                what: <span className="mono">{row.key}</span>,
              }))}
            />
          </Panel>
        )}
      </div>
      <AddDialog opened={adding} close={close} />
    </Page>
  );
}

function QueueTable({ queues: items }: { queues: readonly Queue[] }) {
  const { data } = useQuery(rates);
  const moving = new Map(data?.queues.map((rate) => [rate.uuid, rate]));
  return (
    <Table>
      <Table.Thead>
        <Table.Tr>
          <Table.Th>Queue</Table.Th>
          <Table.Th className="from-600">Type</Table.Th>
          <Table.Th className="from-600">Sensors</Table.Th>
          <Table.Th className="end">Waiting</Table.Th>
          <Table.Th className="from-900 end">In</Table.Th>
          <Table.Th className="from-900 end">Out</Table.Th>
          <Table.Th className="from-600 end">Full</Table.Th>
          <Table.Th className="from-900 end">Taken</Table.Th>
          <Table.Th className="end">Dropped</Table.Th>
          <Table.Th className="from-900 end">Made</Table.Th>
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {items.map((queue) => (
          <Table.Tr key={queue.uuid}>
            <Table.Td>
              <Link to="/queues/$uuid" params={{ uuid: queue.uuid }} className="plain" title={queue.uuid}>
                {queue.description || <span className="mono">{shortUuid(queue.uuid)}</span>}
              </Link>
              <div className="to-600">
                type <span className="mono">{queue.topic}</span>
              </div>
            </Table.Td>
            <Table.Td className="from-600 mono">{queue.topic}</Table.Td>
            <Table.Td className="from-600">
              {queue.group === null ? <span className="dimmed">all</span> : formatCount(queue.group.length)}
            </Table.Td>
            <Table.Td className="end" title={formatCount(queue.length)}>
              {queue.length === 0 ? <span className="dimmed">0</span> : formatCount(queue.length)}
            </Table.Td>
            <Table.Td className="from-900 end nowrap">{formatRate(moving.get(queue.uuid)?.in ?? 0)}</Table.Td>
            <Table.Td className="from-900 end nowrap">{formatRate(moving.get(queue.uuid)?.out ?? 0)}</Table.Td>
            <Table.Td className="from-600 end" title={`of at most ${formatCount(queue.limit)}`}>
              <Fill share={queue.length / queue.limit} />
            </Table.Td>
            <Table.Td className="from-900 end" title={formatCount(queue.taken)}>
              {formatShort(queue.taken)}
            </Table.Td>
            <Table.Td className="end" title={formatCount(queue.dropped)}>
              {queue.dropped === 0 ? (
                <span className="dimmed">0</span>
              ) : (
                <span style={{ color: 'var(--d4-bad)' }}>{formatShort(queue.dropped)}</span>
              )}
            </Table.Td>
            <Table.Td className="from-900 end">
              <Time at={queue.createdAt} ago />
            </Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}

function Fill({ share }: { share: number }) {
  const percent = share * 100;
  const text = percent === 0 ? '0 %' : percent < 1 ? '<1 %' : `${Math.floor(percent)} %`;
  return <span style={percent >= 80 ? { color: 'var(--d4-bad)' } : undefined}>{text}</span>;
}

const STARTS = [
  { value: 'now', label: 'with what comes from now on' },
  { value: '3600', label: 'an hour ago' },
  { value: '86400', label: 'a day ago, as far as it is kept' },
  { value: '0', label: 'with the oldest that is kept' },
];

function AddDialog({ opened, close }: { opened: boolean; close: () => void }) {
  const client = useQueryClient();
  const navigate = useNavigate();
  const accepted = useQuery(types);
  const form = useForm({
    mode: 'uncontrolled',
    initialValues: { type: '', description: '', limit: 100_000_000 as number | string, group: '', start: 'now' },
    validate: {
      type: (value) => (value === '' ? 'Choose a type' : null),
      limit: (value) => (typeof value === 'number' && value >= 1 ? null : 'At least 1'),
    },
  });
  const add = useMutation({
    mutationFn: ({ type, description, limit, group, start }: typeof form.values) => {
      const sensors = sensorsIn(group);
      return answered(
        api.POST('/api/v1/queues', {
          body: {
            type,
            description: description.trim(),
            limit: Number(limit),
            ...(sensors.length > 0 && { group: sensors }),
            ...(start !== 'now' && { from: start === '0' ? 0 : Date.now() - Number(start) * 1000 }),
          },
        }),
      );
    },
    onSuccess: async (queue) => {
      form.reset();
      close();
      await client.invalidateQueries({ queryKey: ['queues'] });
      await navigate({ to: '/queues/$uuid', params: { uuid: queue.uuid } });
    },
  });
  return (
    <Modal opened={opened} onClose={close} title="New queue" closeButtonProps={{ 'aria-label': 'Close' }}>
      <form onSubmit={form.onSubmit((values) => add.mutate(values))} noValidate>
        <Stack gap="sm">
          <Select
            label="Type"
            searchable
            data={(accepted.data?.items ?? []).map(({ name, title }) => ({ value: name, label: `${name} · ${title}` }))}
            key={form.key('type')}
            {...form.getInputProps('type')}
          />
          <Textarea
            label="Description"
            description="Which analyzer, for whom"
            autosize
            key={form.key('description')}
            {...form.getInputProps('description')}
          />
          <NumberInput
            label="Limit"
            description="Items; beyond it the oldest are dropped, and counted"
            min={1}
            thousandSeparator=","
            allowDecimal={false}
            hideControls
            key={form.key('limit')}
            {...form.getInputProps('limit')}
          />
          <Select
            label="Starts"
            allowDeselect={false}
            data={STARTS}
            key={form.key('start')}
            {...form.getInputProps('start')}
          />
          <Textarea
            label="Only these sensors"
            description="Uuids, one a line; all sensors if there are none"
            autosize
            maxRows={6}
            classNames={{ input: 'mono' }}
            key={form.key('group')}
            {...form.getInputProps('group')}
          />
          <FormEnd change={add}>Make the queue</FormEnd>
        </Stack>
      </form>
    </Modal>
  );
}
