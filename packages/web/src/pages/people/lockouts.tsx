import { Button, Table } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useAction } from '../../api/action.ts';
import { answered, api, type Schemas } from '../../api/client.ts';
import { lockouts } from '../../api/queries.ts';
import { formatCount } from '../../parts/format.ts';
import { Panel } from '../../parts/page.tsx';
import { Time } from '../../parts/time.tsx';

type Lockout = Schemas['Lockout'];

const KINDS: Readonly<Record<Lockout['kind'], string>> = {
  'user-and-address': 'Passwords of a user, from an address',
  address: 'Passwords of anybody, from an address',
  user: 'Passwords of a user, from new addresses',
  tokens: 'Unknown tokens, from an address',
};

/** Who has to wait after failures; nothing where nobody has. */
export function Lockouts() {
  const { data } = useQuery(lockouts);
  const clear = useAction(
    ({ mail, address }: Lockout) =>
      answered(
        api.DELETE('/api/v1/lockouts', {
          params: { query: { ...(mail !== null && { mail }), ...(address !== null && { address }) } },
        }),
      ),
    { done: () => 'They may try again', stale: ['users'] },
  );
  if (data === undefined || data.items.length === 0) return null;
  return (
    <Panel flush title="Held back after failures">
      <Table>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>What</Table.Th>
            <Table.Th>User</Table.Th>
            <Table.Th>Address</Table.Th>
            <Table.Th className="from-600 end">Failures</Table.Th>
            <Table.Th className="from-600 end">Last</Table.Th>
            <Table.Th className="end">Next attempt</Table.Th>
            <Table.Th>
              <span className="only-read">Actions</span>
            </Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {data.items.map((lockout) => (
            <Table.Tr key={`${lockout.kind} ${lockout.mail} ${lockout.address}`}>
              <Table.Td>{KINDS[lockout.kind]}</Table.Td>
              <Table.Td>{lockout.mail ?? '–'}</Table.Td>
              <Table.Td className="mono">{lockout.address ?? '–'}</Table.Td>
              <Table.Td className="from-600 end">{formatCount(lockout.failures)}</Table.Td>
              <Table.Td className="from-600 end">
                <Time at={lockout.lastFailureAt} ago />
              </Table.Td>
              <Table.Td className="end">
                <Time at={lockout.until} ago />
              </Table.Td>
              <Table.Td className="end">
                <Button size="compact-xs" variant="default" onClick={() => clear.mutate(lockout)}>
                  Clear
                </Button>
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Panel>
  );
}
