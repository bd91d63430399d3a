import { Button, Checkbox, Table } from '@mantine/core';
import { IconCircleCheck, IconDoorEnter } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { useAction } from '../../api/action.ts';
import { bulk } from '../../api/bulk.ts';
import type { Schemas } from '../../api/client.ts';
import { pendingSensors, status } from '../../api/queries.ts';
import { ask } from '../../parts/ask.tsx';
import { formatCount } from '../../parts/format.ts';
import { Loaded } from '../../parts/loaded.tsx';
import { Empty, Page, Panel } from '../../parts/page.tsx';
import { sensorName } from '../../parts/sensor-name.ts';
import { Time } from '../../parts/time.tsx';
import { Uuid } from '../../parts/uuid.tsx';
import { useMay } from '../../session/session.tsx';
import { AddSensorDialog } from '../sensors/add-sensor-dialog.tsx';
import { NewSensorDialog } from './new-sensor-dialog.tsx';
import { TokensPanel } from './tokens-panel.tsx';

/** Who wants to send and may not yet. */
export function EnrolmentPage() {
  const may = useMay('user');
  const server = useQuery(status);
  const [adding, setAdding] = useState(false);
  const [registering, setRegistering] = useState<{ uuid?: string }>();
  return (
    <Page
      title="Enrolment"
      about="Sensors that wait for a decision, and those that knock without being registered"
      actions={may && <Button onClick={() => setAdding(true)}>Add a sensor</Button>}
    >
      <div style={{ display: 'grid', gap: 16 }}>
        <Pending may={may} />
        <Panel flush title="Knocking, not registered">
          <Loaded query={server} rows={3}>
            {({ knocks, addresses }) => (
              <Knocks
                knocks={knocks}
                listen={addresses?.listen}
                may={may}
                register={(uuid) => setRegistering({ uuid })}
              />
            )}
          </Loaded>
        </Panel>
        <TokensPanel may={may} />
      </div>
      <NewSensorDialog
        opened={adding}
        close={() => setAdding(false)}
        byUuid={() => {
          setAdding(false);
          setRegistering({});
        }}
      />
      <AddSensorDialog
        key={registering?.uuid}
        opened={registering !== undefined}
        close={() => setRegistering(undefined)}
        {...(registering?.uuid !== undefined && { uuid: registering.uuid })}
      />
    </Page>
  );
}

function Pending({ may }: { may: boolean }) {
  const query = useQuery(pendingSensors);
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const decide = useAction(
    ({ uuids, approve }: { uuids: readonly string[]; approve: boolean }) => bulk(uuids, approve ? 'approve' : 'revoke'),
    {
      done: ({ done, firstError }, { approve }) =>
        firstError ?? `${formatCount(done)} ${done === 1 ? 'sensor' : 'sensors'} ${approve ? 'approved' : 'refused'}`,
      stale: ['sensors', 'status', 'overview'],
    },
  );
  const waiting = query.data?.items ?? [];
  const uuids = waiting.map(({ uuid }) => uuid).filter((uuid) => chosen.has(uuid));
  function refuse(refused: readonly string[]): void {
    ask({
      title: refused.length === 1 ? 'Refuse this sensor?' : `Refuse ${refused.length} sensors?`,
      text: 'It stays known as revoked and is refused from now on. It can still be approved later.',
      confirm: 'Refuse',
      onConfirm: () => decide.mutate({ uuids: refused, approve: false }),
    });
  }
  return (
    <Panel
      flush
      title={`Waiting for approval${query.data === undefined ? '' : ` (${formatCount(query.data.total)})`}`}
      actions={
        may &&
        uuids.length > 0 && (
          <div style={{ display: 'flex', gap: 8 }}>
            <Button size="xs" loading={decide.isPending} onClick={() => decide.mutate({ uuids, approve: true })}>
              Approve {uuids.length}
            </Button>
            <Button size="xs" variant="default" onClick={() => refuse(uuids)}>
              Refuse {uuids.length}
            </Button>
          </div>
        )
      }
    >
      <Loaded query={query} rows={3}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty icon={<IconCircleCheck size={30} stroke={1.4} />} title="Nobody waits">
              A sensor that registers itself, or that a script registers, waits here until somebody approves it.
            </Empty>
          ) : (
            <Table>
              <Table.Thead>
                <Table.Tr>
                  {may && (
                    <Table.Th w={36}>
                      <Checkbox
                        size="xs"
                        aria-label="Choose all that wait"
                        checked={uuids.length === items.length}
                        indeterminate={uuids.length > 0 && uuids.length < items.length}
                        onChange={() =>
                          setChosen(uuids.length === items.length ? new Set() : new Set(items.map(({ uuid }) => uuid)))
                        }
                      />
                    </Table.Th>
                  )}
                  <Table.Th>Sensor</Table.Th>
                  <Table.Th className="from-900">Uuid</Table.Th>
                  <Table.Th className="from-600">Owner</Table.Th>
                  <Table.Th className="from-900">Registered</Table.Th>
                  {may && (
                    <Table.Th>
                      <span className="only-read">Actions</span>
                    </Table.Th>
                  )}
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {items.map((sensor) => (
                  <Table.Tr key={sensor.uuid}>
                    {may && (
                      <Table.Td>
                        <Checkbox
                          size="xs"
                          aria-label={`Choose ${sensorName(sensor)}`}
                          checked={chosen.has(sensor.uuid)}
                          onChange={() => setChosen(toggled(chosen, sensor.uuid))}
                        />
                      </Table.Td>
                    )}
                    <Table.Td>
                      <Link to="/sensors/$uuid" params={{ uuid: sensor.uuid }} className="plain">
                        {sensorName(sensor)}
                      </Link>
                      {sensor.unproven && <span className="dimmed"> by the default key</span>}
                    </Table.Td>
                    <Table.Td className="from-900">
                      <Uuid value={sensor.uuid} />
                    </Table.Td>
                    <Table.Td className="from-600">{sensor.mail || <span className="dimmed">unknown</span>}</Table.Td>
                    <Table.Td className="from-900">
                      <Time at={sensor.createdAt} ago />
                    </Table.Td>
                    {may && (
                      <Table.Td className="end nowrap">
                        <Button
                          size="compact-sm"
                          variant="light"
                          onClick={() => decide.mutate({ uuids: [sensor.uuid], approve: true })}
                        >
                          Approve
                        </Button>{' '}
                        <Button size="compact-sm" variant="default" onClick={() => refuse([sensor.uuid])}>
                          Refuse
                        </Button>
                      </Table.Td>
                    )}
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

function toggled(chosen: ReadonlySet<string>, uuid: string): ReadonlySet<string> {
  const next = new Set(chosen);
  if (!next.delete(uuid)) next.add(uuid);
  return next;
}

function Knocks({
  knocks,
  listen,
  may,
  register,
}: {
  knocks: Schemas['Status']['knocks'];
  listen: string | undefined;
  may: boolean;
  register: (uuid: string) => void;
}) {
  if (knocks.length === 0) {
    return (
      <Empty icon={<IconDoorEnter size={30} stroke={1.4} />} title="Nobody knocks">
        A sensor that connects to {listen ?? 'the sensors’ port'} with a uuid that is not registered shows up here, and
        can be registered in one step.
      </Empty>
    );
  }
  return (
    <Table>
      <Table.Thead>
        <Table.Tr>
          <Table.Th>Uuid</Table.Th>
          <Table.Th>From</Table.Th>
          <Table.Th className="from-600">Type</Table.Th>
          <Table.Th className="from-600 end">Times</Table.Th>
          <Table.Th className="from-900 end">First</Table.Th>
          <Table.Th className="end">Last</Table.Th>
          {may && (
            <Table.Th>
              <span className="only-read">Actions</span>
            </Table.Th>
          )}
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {knocks.map(({ uuid, address, type, count, firstAt, lastAt }) => (
          <Table.Tr key={`${uuid} ${address} ${type}`}>
            <Table.Td>
              <Uuid value={uuid} />
            </Table.Td>
            <Table.Td className="mono">{address}</Table.Td>
            <Table.Td className="from-600 mono">{type}</Table.Td>
            <Table.Td className="from-600 end">{formatCount(count)}</Table.Td>
            <Table.Td className="from-900 end">
              <Time at={firstAt} ago />
            </Table.Td>
            <Table.Td className="end">
              <Time at={lastAt} ago />
            </Table.Td>
            {may && (
              <Table.Td className="end">
                <Button size="compact-sm" variant="default" onClick={() => register(uuid)}>
                  Register
                </Button>
              </Table.Td>
            )}
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}
