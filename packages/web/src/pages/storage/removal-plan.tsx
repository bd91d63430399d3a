import { Button, Table } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { retentionPlan } from '../../api/queries.ts';
import { Bytes } from '../../parts/bytes.tsx';
import { formatCount } from '../../parts/format.ts';
import { Loaded } from '../../parts/loaded.tsx';
import { Empty, Panel } from '../../parts/page.tsx';

/** What would go now; asked for when somebody wants to know, since it looks through everything. */
export function RemovalPlan() {
  const [wanted, want] = useState(false);
  const query = useQuery({ ...retentionPlan, enabled: wanted });
  return (
    <Panel
      flush={wanted}
      title="What would be removed now"
      actions={
        <Button
          size="xs"
          variant="default"
          loading={query.isFetching}
          onClick={() => (wanted ? void query.refetch() : want(true))}
        >
          {wanted ? 'Again' : 'Show it'}
        </Button>
      }
    >
      {wanted ? (
        <Loaded query={query}>
          {({ removals }) =>
            removals.length === 0 ? (
              <Empty title="Nothing">Everything is within the policy.</Empty>
            ) : (
              <Table>
                <Table.Thead>
                  <Table.Tr>
                    <Table.Th>Where</Table.Th>
                    <Table.Th>Why</Table.Th>
                    <Table.Th>What</Table.Th>
                    <Table.Th className="end">Files</Table.Th>
                    <Table.Th className="end">Bytes</Table.Th>
                  </Table.Tr>
                </Table.Thead>
                <Table.Tbody>
                  {removals.map(({ store, why, topic, sensor, queue, note, files, bytes }) => (
                    <Table.Tr key={`${store} ${why} ${topic} ${sensor} ${queue} ${note}`}>
                      <Table.Td>{store}</Table.Td>
                      <Table.Td>{why}</Table.Td>
                      <Table.Td style={{ overflowWrap: 'anywhere' }}>{note}</Table.Td>
                      <Table.Td className="end">{formatCount(files)}</Table.Td>
                      <Table.Td className="end">
                        <Bytes value={bytes} />
                      </Table.Td>
                    </Table.Tr>
                  ))}
                </Table.Tbody>
              </Table>
            )
          }
        </Loaded>
      ) : (
        <p className="dimmed" style={{ margin: 0, fontSize: 13 }}>
          Nothing is changed by looking.
        </p>
      )}
    </Panel>
  );
}
