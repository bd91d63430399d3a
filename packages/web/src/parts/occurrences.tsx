import { Table } from '@mantine/core';
import type { ReactNode } from 'react';
import { formatCount } from './format.ts';
import { Time } from './time.tsx';

/** Something that came again and again from somewhere. */
export interface Occurrence {
  readonly key: string;
  readonly what: ReactNode;
  readonly address: string;
  readonly count: number;
  /** ms since 1970 */
  readonly lastAt: number;
}

/** What came, from where, how often, and when it came last. @param what the heading of the first column */
export function Occurrences({ what, rows }: { what: string; rows: readonly Occurrence[] }) {
  return (
    <Table>
      <Table.Thead>
        <Table.Tr>
          <Table.Th>{what}</Table.Th>
          <Table.Th>From</Table.Th>
          <Table.Th className="end">Times</Table.Th>
          <Table.Th className="end">Last</Table.Th>
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {rows.map((row) => (
          <Table.Tr key={row.key}>
            <Table.Td>{row.what}</Table.Td>
            <Table.Td className="mono">{row.address}</Table.Td>
            <Table.Td className="end">{formatCount(row.count)}</Table.Td>
            <Table.Td className="end">
              <Time at={row.lastAt} ago />
            </Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}
