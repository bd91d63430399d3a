import { Button, Table } from '@mantine/core';
import { IconTicket } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useAction } from '../../api/action.ts';
import { answered, api, type Schemas } from '../../api/client.ts';
import { enrolments } from '../../api/queries.ts';
import { ask } from '../../parts/ask.tsx';
import { formatCount } from '../../parts/format.ts';
import { Loaded } from '../../parts/loaded.tsx';
import { useNow } from '../../parts/now.tsx';
import { Empty, Panel } from '../../parts/page.tsx';
import { Time } from '../../parts/time.tsx';

type Enrolment = Schemas['Enrolment'];

/** So long those are shown that cannot be used any more. */
const SHOWN_MS = 86_400_000;

/** The commands that were made for sensors, and who has used them. */
export function TokensPanel({ may }: { may: boolean }) {
  const query = useQuery(enrolments);
  const now = useNow();
  const revoke = useAction(
    (id: string) => answered(api.DELETE('/api/v1/enrolments/{id}', { params: { path: { id } } })),
    { done: () => 'The command works no longer', stale: ['sensors'] },
  );
  return (
    <Panel flush title="Commands for new sensors">
      <Loaded query={query} rows={2}>
        {({ items }) => {
          const shown = items.filter((each) => each.state === 'open' || endOf(each) > now - SHOWN_MS);
          if (shown.length === 0) {
            return (
              <Empty icon={<IconTicket size={30} stroke={1.4} />} title="No command is open">
                “Add a sensor” makes a command line that somebody types on the sensor; it registers by itself then.
              </Empty>
            );
          }
          return (
            <Table>
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>For</Table.Th>
                  <Table.Th>State</Table.Th>
                  <Table.Th className="from-600">Used by</Table.Th>
                  <Table.Th className="from-900">Made by</Table.Th>
                  <Table.Th className="from-600 end">Works until</Table.Th>
                  {may && (
                    <Table.Th>
                      <span className="only-read">Actions</span>
                    </Table.Th>
                  )}
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {shown.map((each) => (
                  <TokenRow key={each.id} token={each} revoke={may ? () => revoke.mutate(each.id) : undefined} />
                ))}
              </Table.Tbody>
            </Table>
          );
        }}
      </Loaded>
    </Panel>
  );
}

/** @param revoke undefined for who may not */
function TokenRow({ token, revoke }: { token: Enrolment; revoke: (() => void) | undefined }) {
  const { name, type, state, uses, maxUses, author, expiresAt } = token;
  const what = name === '' ? `a sensor of type ${type}` : name;
  return (
    <Table.Tr>
      <Table.Td>
        {what}
        {name !== '' && <span className="dimmed"> type {type}</span>}
      </Table.Td>
      <Table.Td className="nowrap">
        {state === 'open' ? 'open' : <span className="dimmed">{state}</span>}
        {maxUses > 1 && <span className="dimmed">{` ${formatCount(uses.length)} of ${formatCount(maxUses)}`}</span>}
      </Table.Td>
      <Table.Td className="from-600">
        {uses.length === 0 ? (
          <span className="dimmed">nobody yet</span>
        ) : (
          uses.map(({ sensor }, at) => (
            <span key={sensor}>
              {at > 0 && ', '}
              <Link to="/sensors/$uuid" params={{ uuid: sensor }} className="plain mono">
                {sensor.slice(0, 8)}
              </Link>
            </span>
          ))
        )}
      </Table.Td>
      <Table.Td className="from-900">{author}</Table.Td>
      <Table.Td className="from-600 end">
        <Time at={expiresAt} />
      </Table.Td>
      {revoke !== undefined && (
        <Table.Td className="end">
          {state === 'open' && (
            <Button
              size="compact-sm"
              variant="default"
              onClick={() =>
                ask({
                  title: `Revoke the command for ${what}?`,
                  text: 'Whoever has it cannot register a sensor with it any more. Sensors that have used it stay.',
                  confirm: 'Revoke',
                  onConfirm: revoke,
                })
              }
            >
              Revoke
            </Button>
          )}
        </Table.Td>
      )}
    </Table.Tr>
  );
}

/** When it could no longer be used, or at the latest will be; ms since 1970. */
function endOf({ revokedAt, uses, state, expiresAt }: Enrolment): number {
  if (revokedAt !== null) return revokedAt;
  return state === 'used' ? (uses.at(-1)?.at ?? expiresAt) : expiresAt;
}
