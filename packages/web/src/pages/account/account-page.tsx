import { Badge, Button, SimpleGrid, Table } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useAction } from '../../api/action.ts';
import { answered, api } from '../../api/client.ts';
import { mySessions } from '../../api/queries.ts';
import { SESSION_KEY } from '../../api/session-key.ts';
import { Loaded } from '../../parts/loaded.tsx';
import { Facts, Page, Panel } from '../../parts/page.tsx';
import { Time } from '../../parts/time.tsx';
import { PasswordForm } from '../../session/password-form.tsx';
import { useSession, useSignOut } from '../../session/session.tsx';
import { MyTokens } from './my-tokens.tsx';

/** One's own password, browsers and tokens. */
export function AccountPage() {
  const session = useSession();
  const client = useQueryClient();
  return (
    <Page title="Account" about={`${session.mail}, role ${session.role}`}>
      <SimpleGrid cols={{ base: 1, lg: 2 }} spacing="md">
        <div style={{ display: 'grid', gap: 16, alignContent: 'start', minWidth: 0 }}>
          <MySessions />
          <MyTokens />
        </div>
        <div style={{ display: 'grid', gap: 16, alignContent: 'start', minWidth: 0 }}>
          <Panel title="Password">
            <PasswordForm
              session={session}
              submit="Change the password"
              onDone={(next) => {
                client.setQueryData(SESSION_KEY, next);
                void client.invalidateQueries({ queryKey: ['me'] });
                notifications.show({
                  message: 'The password was changed; all other browsers are signed out',
                  color: 'teal',
                });
              }}
            />
          </Panel>
          <Panel title="This session">
            <Facts
              facts={[
                ['Signed in', <Time key="since" at={session.createdAt} />],
                ['Ends unused after', `${Math.round(session.idleSeconds / 60)} min`],
                ['Ends in any case', <Time key="end" at={session.endsAt} />],
              ]}
            />
          </Panel>
        </div>
      </SimpleGrid>
    </Page>
  );
}

function MySessions() {
  const query = useQuery(mySessions);
  const signOut = useSignOut();
  const end = useAction(
    (id: string) => answered(api.DELETE('/api/v1/me/sessions/{id}', { params: { path: { id } } })),
    { done: () => 'That browser is signed out', stale: ['me'] },
  );
  return (
    <Panel
      flush
      title="Where you are signed in"
      actions={
        <Button size="xs" variant="default" onClick={() => signOut.mutate({ everywhere: true })}>
          Sign out everywhere
        </Button>
      }
    >
      <Loaded query={query} rows={2}>
        {({ items }) => (
          <Table>
            <Table.Thead>
              <Table.Tr>
                <Table.Th>Browser</Table.Th>
                <Table.Th className="from-480">From</Table.Th>
                <Table.Th>Last used</Table.Th>
                <Table.Th>
                  <span className="only-read">Actions</span>
                </Table.Th>
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {items.map(({ id, current, userAgent, address, lastUsedAt }) => (
                <Table.Tr key={id}>
                  <Table.Td title={userAgent}>
                    {browserIn(userAgent)}
                    <div className="to-480 mono">{address}</div>
                  </Table.Td>
                  <Table.Td className="from-480 mono">{address}</Table.Td>
                  <Table.Td>
                    <Time at={lastUsedAt} ago />
                  </Table.Td>
                  <Table.Td className="end">
                    {current ? (
                      <Badge variant="default" miw="max-content">
                        this one
                      </Badge>
                    ) : (
                      <Button size="compact-xs" variant="default" onClick={() => end.mutate(id)}>
                        Sign out
                      </Button>
                    )}
                  </Table.Td>
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        )}
      </Loaded>
    </Panel>
  );
}

/** What of a browser's own description somebody knows it by. */
function browserIn(userAgent: string): string {
  const name = /(Firefox|Edg|OPR|Chrome|Safari|curl)\/([0-9]+)/.exec(
    userAgent.replace(/Chrome\/\S+ Safari\/\S+ (?=Edg|OPR)/, ''),
  );
  const system = /(Windows|Android|iPhone|iPad|Mac OS X|Linux)/.exec(userAgent)?.[1];
  const browser = name === null ? 'Unknown' : `${name[1]?.replace('Edg', 'Edge').replace('OPR', 'Opera')} ${name[2]}`;
  return system === undefined ? browser : `${browser}, ${system}`;
}
