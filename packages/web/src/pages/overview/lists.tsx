import { Table } from '@mantine/core';
import { Link } from '@tanstack/react-router';
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
    <Panel flush title="Types today">
      {today.topics.length === 0 ? (
        <Empty title="Nothing has come today">What sensors send is listed here by type.</Empty>
      ) : (
        <Table>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Type</Table.Th>
              <Table.Th className="end">Now</Table.Th>
              <Table.Th className="end">Bytes</Table.Th>
              <Table.Th className="end">Frames</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {today.topics.map(({ topic, bytes, frames }) => (
              <Table.Tr key={topic}>
                <Table.Td>
                  <Link to="/sensors" search={{ type: topic }} className="plain mono">
                    {topic}
                  </Link>
                </Table.Td>
                <Table.Td className="end">
                  <Bytes value={now[topic]?.[1] ?? 0} perSecond />
                </Table.Td>
                <Table.Td className="end">
                  <Bytes value={bytes} />
                </Table.Td>
                <Table.Td className="end" title={formatCount(frames)}>
                  {formatShort(frames)}
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      )}
    </Panel>
  );
}

/** Today's busiest sensors. */
export function TopSensors({ sensors }: { sensors: Overview['today']['sensors'] }) {
  return (
    <Panel flush title="Sensors today">
      {sensors.length === 0 ? (
        <Empty title="Nobody has sent anything today">The ten that send most stand here.</Empty>
      ) : (
        <Table>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Sensor</Table.Th>
              <Table.Th className="end">Bytes</Table.Th>
              <Table.Th className="end">Frames</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {sensors.map(({ uuid, name, description, bytes, frames }) => (
              <Table.Tr key={uuid}>
                <Table.Td>
                  <Link to="/sensors/$uuid" params={{ uuid }} className="plain" title={uuid}>
                    {sensorName({ uuid, name, description })}
                  </Link>
                </Table.Td>
                <Table.Td className="end">
                  <Bytes value={bytes} />
                </Table.Td>
                <Table.Td className="end" title={formatCount(frames)}>
                  {formatShort(frames)}
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      )}
    </Panel>
  );
}

/** The queues that grow most. */
export function GrowingQueues({ queues }: { queues: Overview['queues'] }) {
  return (
    <Panel flush title="Queues that grow">
      {queues.length === 0 ? (
        <Empty title="No queue">
          An analyzer takes records from a queue: make one under <Link to="/queues">Queues</Link>.
        </Empty>
      ) : (
        <Table>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Queue</Table.Th>
              <Table.Th className="end">Waiting</Table.Th>
              <Table.Th className="end">In</Table.Th>
              <Table.Th className="end">Out</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {queues.map(({ uuid, description, topic, length, in: came, out }) => (
              <Table.Tr key={uuid}>
                <Table.Td>
                  <Link to="/queues/$uuid" params={{ uuid }} className="plain">
                    {description || <span className="mono">{shortUuid(uuid)}</span>}
                  </Link>{' '}
                  <span className="dimmed mono">{topic}</span>
                </Table.Td>
                <Table.Td className="end">{formatCount(length)}</Table.Td>
                <Table.Td className="end nowrap">{formatRate(came)}</Table.Td>
                <Table.Td className="end nowrap">{formatRate(out)}</Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      )}
    </Panel>
  );
}
