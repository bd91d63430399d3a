import { Table } from '@mantine/core';
import type { Schemas } from '../../api/client.ts';
import { formatCount } from '../../parts/format.ts';
import { Panel } from '../../parts/page.tsx';
import { refusalMeaning } from '../../parts/refusal-meanings.ts';
import { Time } from '../../parts/time.tsx';

type Sensor = Schemas['Sensor'];

/** Why it was refused, where that is certain. */
export function Refusals({ sensor: { refusals } }: { sensor: Sensor }) {
  if (refusals.length === 0) return null;
  return (
    <Panel flush title="Refusals">
      <RefusalTable rows={refusals.map((refusal) => ({ ...refusal, address: refusal.lastAddress }))} />
    </Panel>
  );
}

/** What was refused in its name, by whom is not known. */
export function Claimed({ sensor: { claimedRefusals } }: { sensor: Sensor }) {
  if (claimedRefusals.length === 0) return null;
  return (
    <Panel flush title="Claimed to be this sensor, unproved">
      <p className="dimmed" style={{ margin: '10px 16px 2px', fontSize: 13 }}>
        Anybody can send this uuid. These were refused before a key proved anything; they say nothing certain about the
        sensor.
      </p>
      <RefusalTable rows={claimedRefusals} />
    </Panel>
  );
}

interface Row {
  readonly code: string;
  readonly count: number;
  readonly lastAt: number;
  readonly address: string;
}

function RefusalTable({ rows }: { rows: readonly Row[] }) {
  return (
    <Table>
      <Table.Thead>
        <Table.Tr>
          <Table.Th>Reason</Table.Th>
          <Table.Th>From</Table.Th>
          <Table.Th className="end">Times</Table.Th>
          <Table.Th className="end">Last</Table.Th>
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {rows.map(({ code, count, lastAt, address }) => (
          <Table.Tr key={`${code} ${address}`}>
            <Table.Td>
              {refusalMeaning(code)} <code className="dimmed">{code}</code>
            </Table.Td>
            <Table.Td className="mono">{address}</Table.Td>
            <Table.Td className="end">{formatCount(count)}</Table.Td>
            <Table.Td className="end">
              <Time at={lastAt} ago />
            </Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}
