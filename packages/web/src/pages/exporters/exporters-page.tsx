import { ActionIcon, Button, Menu, Table } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { IconDots, IconPlus, IconSend } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Fragment, useState } from 'react';
import { useAction } from '../../api/action.ts';
import { answered, api, ifMatch, type Schemas } from '../../api/client.ts';
import { exporters } from '../../api/queries.ts';
import { ask } from '../../parts/ask.tsx';
import { formatCount, formatRate, formatShort } from '../../parts/format.ts';
import { Loaded, sentence } from '../../parts/loaded.tsx';
import { Empty, Page, Panel } from '../../parts/page.tsx';
import { Time } from '../../parts/time.tsx';
import { Tone } from '../../parts/tone.tsx';
import { useMay } from '../../session/session.tsx';
import { ExporterDialog } from './exporter-dialog.tsx';
import classes from './exporters.module.css';
import { targetText } from './target-fields.ts';

type Exporter = Schemas['Exporter'];

/** Where records are sent on. */
export function ExportersPage() {
  const query = useQuery(exporters);
  const admin = useMay('admin');
  const [adding, { open, close }] = useDisclosure(false);
  const add = admin && (
    <Button leftSection={<IconPlus size={16} />} onClick={open}>
      New exporter
    </Button>
  );
  return (
    <Page title="Exporters" about="Where this server sends records on, each at its own pace" actions={add}>
      <Panel flush>
        <Loaded query={query}>
          {({ items }) =>
            items.length === 0 ? (
              <Empty icon={<IconSend size={30} stroke={1.4} />} title="Nothing is sent on" action={add}>
                An exporter delivers the records of a type to a log server, a file, a web address or another D4 server,
                and goes on where it stopped.
              </Empty>
            ) : (
              <ExporterTable exporters={items} />
            )
          }
        </Loaded>
      </Panel>
      <ExporterDialog opened={adding} close={close} />
    </Page>
  );
}

const LOOKS = {
  delivering: { tone: 'good', meaning: 'Records are being delivered, or were within the last 10 s' },
  waiting: { tone: 'calm', meaning: 'Everything is delivered: it waits for records' },
  failing: { tone: 'bad', meaning: 'Nothing can be delivered; it is tried again and again' },
  paused: { tone: 'idle', meaning: 'Stopped by somebody; it goes on where it is' },
} as const;

function ExporterTable({ exporters: items }: { exporters: readonly Exporter[] }) {
  const may = useMay('user');
  return (
    <Table>
      <Table.Thead>
        <Table.Tr>
          <Table.Th>Exporter</Table.Th>
          <Table.Th className="from-600">Type</Table.Th>
          <Table.Th className="from-900">To</Table.Th>
          <Table.Th>State</Table.Th>
          <Table.Th className="from-600 end">Rate</Table.Th>
          <Table.Th className="end" title="Records that are not delivered yet">
            Behind
          </Table.Th>
          <Table.Th className="from-600 end">Delivered</Table.Th>
          <Table.Th className="from-900 end">Withheld</Table.Th>
          <Table.Th className="from-900 end">Not delivered</Table.Th>
          {may && (
            <Table.Th w={50}>
              <span className="only-read">Actions</span>
            </Table.Th>
          )}
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {items.map((exporter) => (
          <Fragment key={exporter.name}>
            <Row exporter={exporter} may={may} />
            <Trouble exporter={exporter} columns={may ? 10 : 9} />
          </Fragment>
        ))}
      </Table.Tbody>
    </Table>
  );
}

function Row({ exporter, may }: { exporter: Exporter; may: boolean }) {
  const { name, description, topic, target, state, rate, lag, delivered, leftOut, skipped, lost, sensors } = exporter;
  const never = skipped + lost;
  return (
    <Table.Tr>
      <Table.Td>
        <div className={classes.name}>{name}</div>
        {description !== '' && <div className={classes.about}>{description}</div>}
        {sensors !== null && <div className={classes.about}>only of {formatCount(sensors.length)} sensors</div>}
      </Table.Td>
      <Table.Td className="from-600 mono">{topic}</Table.Td>
      <Table.Td className="from-900 mono">
        <span className={classes.target} title={exporter.remark || undefined}>
          {targetText(target)}
        </span>
      </Table.Td>
      <Table.Td>
        <Tone tone={LOOKS[state].tone} title={LOOKS[state].meaning} shape={state === 'paused' ? 'hollow' : undefined}>
          {state}
        </Tone>
      </Table.Td>
      <Table.Td className="from-600 end nowrap">{formatRate(rate)}</Table.Td>
      <Table.Td className="end" title={formatCount(lag)}>
        {formatShort(lag)}
      </Table.Td>
      <Table.Td className="from-600 end" title={formatCount(delivered)}>
        {formatShort(delivered)}
      </Table.Td>
      <Table.Td className="from-900 end" title="Not meant to be exported, since the server started">
        {formatShort(leftOut)}
      </Table.Td>
      <Table.Td
        className="from-900 end"
        title={`${formatCount(skipped)} can never be delivered, ${formatCount(lost)} were no longer in the journal`}
      >
        {never === 0 ? '0' : <span style={{ color: 'var(--d4-bad)' }}>{formatShort(never)}</span>}
      </Table.Td>
      {may && (
        <Table.Td>
          <Actions exporter={exporter} />
        </Table.Td>
      )}
    </Table.Tr>
  );
}

/** Why it fails, or failed last; nothing where it never did. */
function Trouble({
  exporter: { problem, lastError, errors, repeated },
  columns,
}: {
  exporter: Exporter;
  columns: number;
}) {
  if (problem === null && lastError === null) return null;
  const counts = [
    ...(errors > 0 ? [`${formatCount(errors)} failed attempts`] : []),
    ...(repeated > 0 ? [`${formatCount(repeated)} records sent again`] : []),
  ];
  return (
    <Table.Tr className={classes.trouble}>
      <Table.Td colSpan={columns}>
        {problem === null ? 'Last error: ' : ''}
        <span style={problem === null ? undefined : { color: 'var(--d4-bad)' }}>
          {sentence(problem ?? lastError?.text ?? '')}
        </span>{' '}
        {lastError !== null && <Time at={lastError.at} ago />}
        {counts.length > 0 && ` · ${counts.join(', ')}`}
      </Table.Td>
    </Table.Tr>
  );
}

function Actions({ exporter }: { exporter: Exporter }) {
  const { name, state, declared, revision } = exporter;
  const admin = useMay('admin');
  const [shown, show] = useState<Exporter>();
  const path = { name };
  const stale = ['exporters', 'overview'];
  const pause = useAction(
    () => answered(api.POST('/api/v1/exporters/{name}/pause', { params: { path, header: ifMatch(revision) } })),
    { done: () => `${name} is paused`, stale },
  );
  const resume = useAction(
    () => answered(api.POST('/api/v1/exporters/{name}/resume', { params: { path, header: ifMatch(revision) } })),
    { done: () => `${name} goes on`, stale },
  );
  const remove = useAction(
    () => answered(api.DELETE('/api/v1/exporters/{name}', { params: { path, header: ifMatch(revision) } })),
    { done: () => `${name} is removed`, stale },
  );
  return (
    <>
      <Menu position="bottom-end">
        <Menu.Target>
          <ActionIcon variant="subtle" color="gray" aria-label={`What to do with ${name}`}>
            <IconDots size={18} />
          </ActionIcon>
        </Menu.Target>
        <Menu.Dropdown>
          {state === 'paused' ? (
            <Menu.Item onClick={() => resume.mutate(undefined)}>Go on</Menu.Item>
          ) : (
            <Menu.Item onClick={() => pause.mutate(undefined)}>Pause</Menu.Item>
          )}
          {admin && !declared && <Menu.Item onClick={() => show(exporter)}>Edit</Menu.Item>}
          {admin && !declared && (
            <Menu.Item
              color="red"
              onClick={() =>
                ask({
                  title: `Remove ${name}?`,
                  text: 'It sends nothing more, and its place in the journal is forgotten. It cannot be undone.',
                  confirm: 'Remove',
                  onConfirm: () => remove.mutate(undefined),
                })
              }
            >
              Remove
            </Menu.Item>
          )}
          {declared && <Menu.Label>Declared in d4.yaml, and changed there</Menu.Label>}
        </Menu.Dropdown>
      </Menu>
      <ExporterDialog exporter={shown} opened={shown !== undefined} close={() => show(undefined)} />
    </>
  );
}
