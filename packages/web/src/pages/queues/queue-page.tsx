import { Button, Menu, Modal, NumberInput, Stack, Textarea } from '@mantine/core';
import { useForm } from '@mantine/form';
import { useDisclosure } from '@mantine/hooks';
import { IconDots, IconPencil, IconTrash } from '@tabler/icons-react';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { getRouteApi, Link, useNavigate } from '@tanstack/react-router';
import { useAction } from '../../api/action.ts';
import { answered, api, ifMatch, type Schemas } from '../../api/client.ts';
import { queue as queueQuery } from '../../api/queries.ts';
import { ask } from '../../parts/ask.tsx';
import { Editing, FormEnd } from '../../parts/form-problem.tsx';
import { formatCount, shortUuid } from '../../parts/format.ts';
import { Loaded } from '../../parts/loaded.tsx';
import { Facts, Page, Panel } from '../../parts/page.tsx';
import { Time } from '../../parts/time.tsx';
import { Uuid } from '../../parts/uuid.tsx';
import { useMay } from '../../session/session.tsx';
import { Attach } from './attach.tsx';
import { CredentialPanel } from './credential.tsx';
import { Peek } from './peek.tsx';
import classes from './queues.module.css';
import { Again } from './replays.tsx';
import { sensorsIn } from './sensors-in.ts';

type Queue = Schemas['Queue'];

const route = getRouteApi('/queues/$uuid');

/** One queue: what waits, what was taken, how to attach. */
export function QueuePage() {
  const { uuid } = route.useParams();
  const may = useMay('user');
  const query = useQuery(queueQuery(uuid));
  if (query.data === undefined) {
    return (
      <Page title="Queue">
        <Panel flush>
          <Loaded query={query} rows={8}>
            {() => null}
          </Loaded>
        </Panel>
      </Page>
    );
  }
  const queue = query.data;
  return (
    <Page
      title={queue.description || `Queue ${shortUuid(uuid)}`}
      about={
        <>
          Type <span className="mono">{queue.topic}</span> · <Uuid value={uuid} whole />
        </>
      }
      actions={<Actions queue={queue} />}
    >
      <div className={classes.tiles}>
        <Tile name="Waiting" value={queue.length} />
        <Tile name="With consumers" value={queue.claimed} />
        <Tile name="Taken" value={queue.taken} />
        <Tile name="Dropped over the limit" value={queue.dropped} bad={queue.dropped > 0} />
        <Tile name="Flushed" value={queue.flushed} />
      </div>
      <div style={{ display: 'grid', gap: 16 }}>
        {may && <Peek uuid={uuid} />}
        <Attach queue={queue} />
        <Again queue={queue} />
        <CredentialPanel queue={queue} />
        <Panel title="Facts">
          <Facts
            facts={[
              ['Limit', `${formatCount(queue.limit)} items`],
              ['Sensors', queue.group === null ? 'all' : <Group key="group" queue={uuid} uuids={queue.group} />],
              ['Made', <Time key="made" at={queue.createdAt} />],
              ['Redis key', <code key="key">{queue.key}</code>],
            ]}
          />
        </Panel>
      </div>
    </Page>
  );
}

function Tile({ name, value, bad = false }: { name: string; value: number; bad?: boolean }) {
  return (
    <div className={classes.tile}>
      <div className="dimmed">{name}</div>
      <strong style={bad ? { color: 'var(--d4-bad)' } : undefined}>{formatCount(value)}</strong>
    </div>
  );
}

function Group({ queue, uuids }: { queue: string; uuids: readonly string[] }) {
  return (
    <details>
      <summary>
        {formatCount(uuids.length)} chosen,{' '}
        <Link to="/sensors" search={{ group: queue }}>
          in the list of sensors
        </Link>
      </summary>
      <ul style={{ margin: '4px 0', paddingLeft: 18 }}>
        {uuids.map((uuid) => (
          <li key={uuid}>
            <Link to="/sensors/$uuid" params={{ uuid }} className="plain mono">
              {uuid}
            </Link>
          </li>
        ))}
      </ul>
    </details>
  );
}

function Actions({ queue }: { queue: Queue }) {
  const { uuid } = queue;
  const may = useMay('user');
  const navigate = useNavigate();
  const [editing, edit] = useDisclosure(false);
  const params = { params: { path: { uuid } } };
  const flush = useAction(() => answered(api.POST('/api/v1/queues/{uuid}/flush', params)), {
    done: ({ flushed }) => `${formatCount(flushed)} items flushed`,
    stale: ['queues', 'status'],
  });
  const remove = useAction(() => answered(api.DELETE('/api/v1/queues/{uuid}', params)), {
    done: () => 'Queue removed',
    stale: ['queues', 'status'],
  });
  if (!may) return null;
  return (
    <>
      <Button variant="default" leftSection={<IconPencil size={15} />} onClick={edit.open}>
        Edit
      </Button>
      <Menu position="bottom-end">
        <Menu.Target>
          <Button variant="default" px={8} aria-label="More to do with this queue">
            <IconDots size={18} />
          </Button>
        </Menu.Target>
        <Menu.Dropdown>
          <Menu.Item
            onClick={() =>
              ask({
                title: 'Flush this queue?',
                text: `${formatCount(queue.length)} items that wait are dropped from this queue. Other queues keep theirs.`,
                confirm: 'Flush',
                onConfirm: () => flush.mutate(undefined),
              })
            }
          >
            Flush what waits
          </Menu.Item>
          <Menu.Item
            color="red"
            leftSection={<IconTrash size={15} />}
            onClick={() =>
              ask({
                title: 'Remove this queue?',
                text: 'The queue and what waits in it are gone, and its consumers get nothing more. It cannot be undone.',
                confirm: 'Remove',
                onConfirm: () => remove.mutate(undefined, { onSuccess: () => void navigate({ to: '/queues' }) }),
              })
            }
          >
            Remove the queue
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      <Modal opened={editing} onClose={edit.close} title="Edit the queue" closeButtonProps={{ 'aria-label': 'Close' }}>
        <Editing value={queue}>{(opened) => <EditForm queue={opened} close={edit.close} />}</Editing>
      </Modal>
    </>
  );
}

function EditForm({ queue, close }: { queue: Queue; close: () => void }) {
  const client = useQueryClient();
  const before = queue.group ?? [];
  const form = useForm({
    mode: 'uncontrolled',
    initialValues: { description: queue.description, limit: queue.limit as number | string, group: before.join('\n') },
    validate: {
      limit: (value) => (typeof value === 'number' && value >= 1 ? null : 'At least 1'),
      group: (value) => (queue.group !== null && sensorsIn(value).length === 0 ? 'At least one sensor' : null),
    },
  });
  const change = useMutation({
    mutationFn: ({ description, limit, group }: typeof form.values) => {
      const after = sensorsIn(group);
      const add = after.filter((uuid) => !before.includes(uuid));
      const remove = before.filter((uuid) => !after.includes(uuid));
      return answered(
        api.PATCH('/api/v1/queues/{uuid}', {
          params: { path: { uuid: queue.uuid }, header: ifMatch(queue.revision) },
          body: {
            description: description.trim(),
            limit: Number(limit),
            ...(queue.group !== null && add.length > 0 && { add }),
            ...(queue.group !== null && remove.length > 0 && { remove }),
          },
        }),
      );
    },
    onSuccess: close,
    onSettled: () => client.invalidateQueries({ queryKey: ['queues'] }),
  });
  return (
    <form onSubmit={form.onSubmit((values) => change.mutate(values))} noValidate>
      <Stack gap="sm">
        <Textarea label="Description" autosize key={form.key('description')} {...form.getInputProps('description')} />
        <NumberInput
          label="Limit"
          description="Items; beyond it the oldest are dropped"
          min={1}
          thousandSeparator=","
          allowDecimal={false}
          hideControls
          key={form.key('limit')}
          {...form.getInputProps('limit')}
        />
        {queue.group !== null && (
          <Textarea
            label="Only these sensors"
            description="One a line; it holds for records that come from now on"
            autosize
            maxRows={8}
            classNames={{ input: 'mono' }}
            key={form.key('group')}
            {...form.getInputProps('group')}
          />
        )}
        <FormEnd change={change}>Save</FormEnd>
      </Stack>
    </form>
  );
}
