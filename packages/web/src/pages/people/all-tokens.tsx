import { Button, Table } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useAction } from '../../api/action.ts';
import { answered, api } from '../../api/client.ts';
import { allTokens } from '../../api/queries.ts';
import { ask } from '../../parts/ask.tsx';
import { Loaded } from '../../parts/loaded.tsx';
import { Empty, Panel } from '../../parts/page.tsx';
import { Time } from '../../parts/time.tsx';

/** Everybody's tokens. */
export function AllTokens() {
  const query = useQuery(allTokens);
  const revoke = useAction((id: string) => answered(api.DELETE('/api/v1/tokens/{id}', { params: { path: { id } } })), {
    done: () => 'The token works no longer',
    stale: ['users', 'me'],
  });
  return (
    <Panel flush title="API tokens of all users">
      <Loaded query={query}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty title="No tokens">Everybody makes their own, under Account.</Empty>
          ) : (
            <Table>
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>For</Table.Th>
                  <Table.Th className="from-600">User</Table.Th>
                  <Table.Th className="from-600">Role</Table.Th>
                  <Table.Th className="from-900 end">Made</Table.Th>
                  <Table.Th className="from-900 end">Last used</Table.Th>
                  <Table.Th className="end">Expires</Table.Th>
                  <Table.Th>
                    <span className="only-read">Actions</span>
                  </Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {items.map(({ id, name, user, role, createdAt, lastUsedAt, lastAddress, expiresAt, expired }) => (
                  <Table.Tr key={id}>
                    <Table.Td style={{ overflowWrap: 'anywhere' }}>
                      {name}
                      <div className="to-600">
                        {user}, {role}
                      </div>
                    </Table.Td>
                    <Table.Td className="from-600">{user}</Table.Td>
                    <Table.Td className="from-600">{role}</Table.Td>
                    <Table.Td className="from-900 end">
                      <Time at={createdAt} ago />
                    </Table.Td>
                    <Table.Td className="from-900 end" title={lastAddress ?? undefined}>
                      <Time at={lastUsedAt} ago />
                    </Table.Td>
                    <Table.Td className="end">{expired ? 'expired' : <Time at={expiresAt} ago />}</Table.Td>
                    <Table.Td className="end">
                      <Button
                        size="compact-xs"
                        variant="default"
                        onClick={() =>
                          ask({
                            title: `Revoke “${name}” of ${user}?`,
                            text: 'Programs that use it are refused at once.',
                            confirm: 'Revoke',
                            onConfirm: () => revoke.mutate(id),
                          })
                        }
                      >
                        Revoke
                      </Button>
                    </Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          )
        }
      </Loaded>
    </Panel>
  );
}
