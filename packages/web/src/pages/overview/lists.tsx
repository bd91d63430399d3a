import { Table } from '@mantine/core';
import { Link } from '@tanstack/react-router';
import type { ReactNode } from 'react';
import type { Schemas } from '../../api/client.ts';
import { useLive } from '../../api/live.tsx';
import { Bytes } from '../../parts/bytes.tsx';
import { formatCount, formatRate, formatShort, shortUuid } from '../../parts/format.ts';
import { Empty, Panel } from '../../parts/page.tsx';
import { sensorName } from '../../parts/sensor-name.ts';

type Overview = Schemas['Overview'];

/** Today's types, and what they send now. */
export function TopTypes({ server: { today, rates } }: { server: Overview }) {
  const now =
    useLive().rates.at(-1)?.topics ??
    Object.fromEntries(rates.topics.map(({ topic, frames, bytes }) => [topic, [frames, bytes] as const]));
  return (
    <TopList
      title="Types today"
      empty={<Empty title="Nothing has come today">What sensors send is listed here by type.</Empty>}
      what="Type"
      numbers={['Now', 'Bytes', 'Frames']}
      rows={today.topics.map(({ topic, bytes, frames }) => ({
        key: topic,
        name: (
          <Link to="/sensors" search={{ type: topic }} className="plain mono">
            {topic}
          </Link>
        ),
        numbers: [
          <Bytes key="now" value={now[topic]?.[1] ?? 0} perSecond />,
          <Bytes key="bytes" value={bytes} />,
          <Frames key="frames" value={frames} />,
        ],
      }))}
    />
  );
}

/** Today's busiest sensors. */
export function TopSensors({ sensors }: { sensors: Overview['today']['sensors'] }) {
  return (
    <TopList
      title="Sensors today"
      empty={<Empty title="Nobody has sent anything today">The ten that send most stand here.</Empty>}
      what="Sensor"
      numbers={['Bytes', 'Frames']}
      rows={sensors.map(({ uuid, name, description, bytes, frames }) => ({
        key: uuid,
        name: (
          <Link to="/sensors/$uuid" params={{ uuid }} className="plain" title={uuid}>
            {sensorName({ uuid, name, description })}
          </Link>
        ),
        numbers: [<Bytes key="bytes" value={bytes} />, <Frames key="frames" value={frames} />],
      }))}
    />
  );
}

/** The queues that grow most. */
export function GrowingQueues({ queues }: { queues: Overview['queues'] }) {
  return (
    <TopList
      title="Queues that grow"
      empty={
        <Empty title="No queue">
          An analyzer takes records from a queue: make one under <Link to="/queues">Queues</Link>.
        </Empty>
      }
      what="Queue"
      numbers={['Waiting', 'In', 'Out']}
      rows={queues.map(({ uuid, description, topic, length, in: came, out }) => ({
        key: uuid,
        name: (
          <>
            <Link to="/queues/$uuid" params={{ uuid }} className="plain">
              {description || <span className="mono">{shortUuid(uuid)}</span>}
            </Link>{' '}
            <span className="dimmed mono">{topic}</span>
          </>
        ),
        numbers: [formatCount(length), formatRate(came), formatRate(out)],
      }))}
    />
  );
}

function Frames({ value }: { value: number }) {
  return <span title={formatCount(value)}>{formatShort(value)}</span>;
}

interface TopRow {
  readonly key: string;
  readonly name: ReactNode;
  readonly numbers: readonly ReactNode[];
}

/** A short list: what it is of, and numbers. @param empty stands there instead of no row */
function TopList({
  title,
  empty,
  what,
  numbers,
  rows,
}: {
  title: string;
  empty: ReactNode;
  what: string;
  numbers: readonly string[];
  rows: readonly TopRow[];
}) {
  return (
    <Panel flush title={title}>
      {rows.length === 0 ? (
        empty
      ) : (
        <Table>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>{what}</Table.Th>
              {numbers.map((name) => (
                <Table.Th key={name} className="end">
                  {name}
                </Table.Th>
              ))}
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {rows.map((row) => (
              <Table.Tr key={row.key}>
                <Table.Td>{row.name}</Table.Td>
                {numbers.map((name, at) => (
                  <Table.Td key={name} className="end nowrap">
                    {row.numbers[at]}
                  </Table.Td>
                ))}
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      )}
    </Panel>
  );
}
