import { SegmentedControl, Table } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import type { Schemas } from '../../api/client.ts';
import { pastSessions, type SessionRange } from '../../api/queries.ts';
import { Bytes } from '../../parts/bytes.tsx';
import { formatCount, formatLocal, formatSpan } from '../../parts/format.ts';
import { Loaded } from '../../parts/loaded.tsx';
import { Empty, Panel } from '../../parts/page.tsx';
import { Time } from '../../parts/time.tsx';
import { type Lane, Timeline } from '../../parts/timeline.tsx';

type Sessions = Schemas['SessionTimeline'];

/** Addresses with a lane of their own; those that were there last come first. */
const LANES = 10;

/** Who was connected from where, when. */
export function PastSessions({ uuid }: { uuid: string }) {
  const [range, setRange] = useState<SessionRange>('week');
  const query = useQuery(pastSessions(uuid, range));
  return (
    <Panel
      title="Sessions and addresses"
      actions={
        <SegmentedControl
          size="xs"
          aria-label="Span of sessions"
          value={range}
          onChange={(value) => setRange(value as SessionRange)}
          data={[
            { value: 'day', label: 'Day' },
            { value: 'week', label: 'Week' },
            { value: 'month', label: '30 days' },
          ]}
        />
      }
    >
      <Loaded query={query}>{(data) => <Shown data={data} />}</Loaded>
    </Panel>
  );
}

function Shown({ data }: { data: Sessions }) {
  const { items, from, to } = data;
  if (items.length === 0) {
    return <Empty title="It was not connected">What connects from now on stands here, with its address.</Empty>;
  }
  const lanes = lanesOf(items);
  return (
    <>
      <Timeline
        label="Sessions by address"
        lanes={lanes.slice(0, LANES)}
        from={from}
        to={to}
        table={<SessionTable items={items} />}
      />
      {lanes.length > LANES && (
        <p className="dimmed" style={{ margin: '6px 0 0', fontSize: 13 }}>
          {formatCount(lanes.length - LANES)} more addresses are in the table.
        </p>
      )}
    </>
  );
}

function lanesOf(items: Sessions['items']): Lane[] {
  return [...Map.groupBy(items, ({ address }) => address)].map(([name, spans]) => ({
    name,
    spans: spans.map(({ topic, since, until, live, connections }) => ({
      key: `${topic} ${since}`,
      from: since,
      to: until,
      live,
      title: `type ${topic}, ${formatLocal(since)} to ${live ? 'now' : formatLocal(until)}${connections > 1 ? `, ${formatCount(connections)} connections` : ''}`,
    })),
  }));
}

function SessionTable({ items }: { items: Sessions['items'] }) {
  return (
    <Table>
      <Table.Thead>
        <Table.Tr>
          <Table.Th>From</Table.Th>
          <Table.Th>Type</Table.Th>
          <Table.Th>Connected</Table.Th>
          <Table.Th>Gone</Table.Th>
          <Table.Th className="end">For</Table.Th>
          <Table.Th className="end">Connections</Table.Th>
          <Table.Th className="end">Bytes</Table.Th>
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {items.map(({ topic, address, since, until, live, connections, bytes }) => (
          <Table.Tr key={`${address} ${topic} ${since}`}>
            <Table.Td className="mono">{address}</Table.Td>
            <Table.Td className="mono">{topic}</Table.Td>
            <Table.Td>
              <Time at={since} />
            </Table.Td>
            <Table.Td>{live ? 'connected' : <Time at={until} />}</Table.Td>
            <Table.Td className="end nowrap">{formatSpan(until - since)}</Table.Td>
            <Table.Td className="end">{formatCount(connections)}</Table.Td>
            <Table.Td className="end">
              <Bytes value={bytes} />
            </Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}
