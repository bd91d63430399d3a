import { Table } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { ledger } from '../../api/queries.ts';
import { Bytes } from '../../parts/bytes.tsx';
import { Loaded } from '../../parts/loaded.tsx';
import { Empty, Panel } from '../../parts/page.tsx';
import { Time } from '../../parts/time.tsx';

const GAPS_SHOWN = 20;

/** Whether what came is what is kept, by type, and what is missing. */
export function Ledger({ uuid }: { uuid: string }) {
  const query = useQuery(ledger(uuid));
  return (
    <Panel flush title="Ledger">
      <Loaded query={query} rows={2}>
        {({ totals, gaps }) =>
          totals.length === 0 ? (
            <Empty title="Nothing to account for yet">
              Every byte that comes is accounted for here: kept, left out, or lost.
            </Empty>
          ) : (
            <>
              <Table>
                <Table.Thead>
                  <Table.Tr>
                    <Table.Th>Type</Table.Th>
                    <Table.Th className="end">Verified</Table.Th>
                    <Table.Th className="end">Kept</Table.Th>
                    <Table.Th className="from-600 end">Left out</Table.Th>
                    <Table.Th className="from-600 end">Lost</Table.Th>
                    <Table.Th className="from-600 end">On its way</Table.Th>
                    <Table.Th className="end">Balances</Table.Th>
                  </Table.Tr>
                </Table.Thead>
                <Table.Tbody>
                  {totals.map(({ topic, verified, journaled, leftOut, lost, inFlight, balances }) => (
                    <Table.Tr key={topic}>
                      <Table.Td className="mono">{topic}</Table.Td>
                      <Table.Td className="end">
                        <Bytes value={verified} />
                      </Table.Td>
                      <Table.Td className="end">
                        <Bytes value={journaled} />
                      </Table.Td>
                      <Table.Td className="from-600 end">
                        <Bytes value={leftOut} />
                      </Table.Td>
                      <Table.Td className="from-600 end">
                        <Bytes value={lost} />
                      </Table.Td>
                      <Table.Td className="from-600 end">
                        <Bytes value={inFlight} />
                      </Table.Td>
                      <Table.Td className="end">
                        {balances ? 'yes' : <strong style={{ color: 'var(--d4-bad)' }}>no</strong>}
                      </Table.Td>
                    </Table.Tr>
                  ))}
                </Table.Tbody>
              </Table>
              {gaps.length > 0 && (
                <Table>
                  <Table.Thead>
                    <Table.Tr>
                      <Table.Th>Gap recorded</Table.Th>
                      <Table.Th>Type</Table.Th>
                      <Table.Th>Kind</Table.Th>
                      <Table.Th>Cause</Table.Th>
                      <Table.Th className="end">Bytes</Table.Th>
                    </Table.Tr>
                  </Table.Thead>
                  <Table.Tbody>
                    {gaps.slice(0, GAPS_SHOWN).map(({ time, topic, stream, from, kind, cause, bytes }) => (
                      <Table.Tr key={`${time} ${stream} ${from}`}>
                        <Table.Td>
                          <Time at={time} />
                        </Table.Td>
                        <Table.Td className="mono">{topic}</Table.Td>
                        <Table.Td>{kind}</Table.Td>
                        <Table.Td>{cause}</Table.Td>
                        <Table.Td className="end">{bytes === null ? 'unknown' : <Bytes value={bytes} />}</Table.Td>
                      </Table.Tr>
                    ))}
                  </Table.Tbody>
                </Table>
              )}
            </>
          )
        }
      </Loaded>
    </Panel>
  );
}
