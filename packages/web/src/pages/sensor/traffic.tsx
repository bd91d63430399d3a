import { Button, Table } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { useState } from 'react';
import type { Schemas } from '../../api/client.ts';
import { Bytes } from '../../parts/bytes.tsx';
import { formatCount, formatSpan } from '../../parts/format.ts';
import { useNow } from '../../parts/now.tsx';
import { Empty, Panel } from '../../parts/page.tsx';
import { Time } from '../../parts/time.tsx';
import { useMay } from '../../session/session.tsx';
import { BlockDialog } from '../blocks/blocks-page.tsx';

type Sensor = Schemas['Sensor'];

/** What a sensor sends, by type. */
export function ByType({ sensor: { topics } }: { sensor: Sensor }) {
  const lossy = topics.some(({ skippedBytes, cutRecords }) => skippedBytes + cutRecords > 0);
  return (
    <Panel flush title="What it sends">
      {topics.length === 0 ? (
        <Empty title="Nothing yet">
          As soon as a verified frame comes, its type stands here with what was counted.
        </Empty>
      ) : (
        <Table>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Type</Table.Th>
              <Table.Th className="from-600 end">Frames</Table.Th>
              <Table.Th className="end">Bytes</Table.Th>
              <Table.Th className="end">Items</Table.Th>
              <Table.Th className="from-600 end">Sessions</Table.Th>
              {lossy && <Table.Th className="end">Left out</Table.Th>}
              <Table.Th className="end">Last</Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {topics.map((topic) => (
              <Table.Tr key={topic.topic}>
                <Table.Td className="mono">{topic.topic}</Table.Td>
                <Table.Td className="from-600 end">{formatCount(topic.frames)}</Table.Td>
                <Table.Td className="end">
                  <Bytes value={topic.bytes} />
                </Table.Td>
                <Table.Td className="end">{formatCount(topic.records)}</Table.Td>
                <Table.Td className="from-600 end">{formatCount(topic.sessions)}</Table.Td>
                {lossy && (
                  <Table.Td className="end" title="Bytes that the format could not keep, and records cut at its limit">
                    <Bytes value={topic.skippedBytes} />, {formatCount(topic.cutRecords)} cut
                  </Table.Td>
                )}
                <Table.Td className="end">
                  <Time at={topic.lastSeen} ago />
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      )}
    </Panel>
  );
}

/** Its connections. */
export function Sessions({ sensor: { sessions } }: { sensor: Sensor }) {
  const now = useNow();
  const may = useMay('user');
  const [address, setAddress] = useState('');
  const [blocking, { open, close }] = useDisclosure(false);
  if (sessions.length === 0) return null;
  return (
    <Panel flush title="Connections now">
      <Table>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Type</Table.Th>
            <Table.Th>From</Table.Th>
            <Table.Th className="from-600 end">For</Table.Th>
            <Table.Th className="from-600 end">Frames</Table.Th>
            <Table.Th className="from-600 end">Bytes</Table.Th>
            <Table.Th className="from-600 end">Last frame</Table.Th>
            {may && (
              <Table.Th>
                <span className="only-read">Actions</span>
              </Table.Th>
            )}
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {sessions.map((session) => (
            <Table.Tr key={`${session.address} ${session.port} ${session.topic}`}>
              <Table.Td className="mono">{session.topic}</Table.Td>
              <Table.Td className="mono whole-from-600">
                {session.address}:{session.port}
                {session.usesPreviousKey === true && (
                  <div className="dimmed" title="It still has the key that was replaced">
                    key before
                  </div>
                )}
                <div className="to-600">
                  <Bytes value={session.bytes} />
                </div>
              </Table.Td>
              <Table.Td className="from-600 end nowrap">{formatSpan(now - session.since)}</Table.Td>
              <Table.Td className="from-600 end">{formatCount(session.frames)}</Table.Td>
              <Table.Td className="from-600 end">
                <Bytes value={session.bytes} />
              </Table.Td>
              <Table.Td className="from-600 end">
                <Time at={session.lastFrameAt} ago />
              </Table.Td>
              {may && (
                <Table.Td className="end">
                  <Button
                    size="compact-xs"
                    variant="default"
                    onClick={() => {
                      setAddress(session.address);
                      open();
                    }}
                  >
                    Block address
                  </Button>
                </Table.Td>
              )}
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
      <BlockDialog key={address} target={address} opened={blocking} close={close} />
    </Panel>
  );
}
