import { Button, Table } from '@mantine/core';
import { IconBell, IconBellRinging } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { useAction } from '../../api/action.ts';
import { answered, api, type Schemas } from '../../api/client.ts';
import { alerts, SILENT_SHOWN, silentSensors } from '../../api/queries.ts';
import { ButtonLink } from '../../parts/button-link.tsx';
import { formatCount, formatSpan } from '../../parts/format.ts';
import { Loaded } from '../../parts/loaded.tsx';
import { Empty, Page, Panel } from '../../parts/page.tsx';
import { sensorName } from '../../parts/sensor-name.ts';
import { Time } from '../../parts/time.tsx';
import { Tone } from '../../parts/tone.tsx';
import { useMay } from '../../session/session.tsx';

type Alert = Schemas['Alert'];

const KINDS: Readonly<Record<Alert['kind'], string>> = {
  silent: 'silent',
  back: 'back',
  damaged: 'damaged',
  test: 'test',
};
const WAYS = { webhook: 'web hook', mail: 'mail' } as const;

/** Which watched sensors are silent, and who was told of it. */
export function AlertsPage() {
  const query = useQuery(alerts);
  const may = useMay('user');
  const test = useAction(() => answered(api.POST('/api/v1/alerts/test')), {
    done: ({ deliveries }) =>
      deliveries.length === 0
        ? 'No way to tell anybody is set: nothing was sent'
        : deliveries.map(({ way, error }) => `${WAYS[way]}: ${error ?? 'arrived'}`).join('; '),
    stale: ['alerts'],
  });
  return (
    <Page
      title="Alerts"
      about="Sensors that are watched and fell silent, data that are damaged, and who was told"
      actions={
        may && (
          <Button
            variant="default"
            leftSection={<IconBellRinging size={15} />}
            loading={test.isPending}
            onClick={() => test.mutate(undefined)}
          >
            Send a test
          </Button>
        )
      }
    >
      <div style={{ display: 'grid', gap: 16 }}>
        <Silent uuids={query.data?.silent ?? []} />
        <Loaded query={query}>
          {({ items, ways }) => (
            <>
              <Panel title="Who is told">
                <p style={{ margin: 0, fontSize: 14 }}>
                  {ways.length > 0
                    ? `By ${ways.map((way) => WAYS[way]).join(' and ')}. Many sensors at once make one message; a sensor that flaps makes few.`
                    : 'Nobody: set alerts.webhook, or alerts.smtp with its host, sender and receivers, in d4.yaml. It is shown here in any case.'}
                </p>
              </Panel>
              <Panel flush title="What was sent">
                {items.length === 0 ? (
                  <Empty icon={<IconBell size={30} stroke={1.4} />} title="Nothing yet">
                    When a watched sensor is silent for longer than its interval, when it is back, and when something is
                    damaged, it stands here.
                  </Empty>
                ) : (
                  <History items={items} />
                )}
              </Panel>
            </>
          )}
        </Loaded>
      </div>
    </Page>
  );
}

function Silent({ uuids }: { uuids: readonly string[] }) {
  const query = useQuery(silentSensors(uuids));
  return (
    <Panel flush title={`Silent now${uuids.length === 0 ? '' : ` (${formatCount(uuids.length)})`}`}>
      {uuids.length === 0 ? (
        <Empty
          title="No watched sensor is silent"
          action={
            <ButtonLink to="/sensors" variant="default" size="xs">
              To the sensors
            </ButtonLink>
          }
        >
          A sensor is watched once it has an expected interval: set one on its page, among its rules.
        </Empty>
      ) : (
        <Loaded query={query}>
          {(sensors) => (
            <Table>
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>Sensor</Table.Th>
                  <Table.Th className="end">Expected every</Table.Th>
                  <Table.Th className="end">Last seen</Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {sensors.map((sensor) => (
                  <Table.Tr key={sensor.uuid}>
                    <Table.Td>
                      <Link to="/sensors/$uuid" params={{ uuid: sensor.uuid }} className="plain">
                        {sensorName(sensor)}
                      </Link>
                    </Table.Td>
                    <Table.Td className="end">{formatSpan((sensor.expectedIntervalSeconds ?? 0) * 1_000)}</Table.Td>
                    <Table.Td className="end">
                      <Time at={sensor.lastSeen} ago />
                    </Table.Td>
                  </Table.Tr>
                ))}
                {uuids.length > SILENT_SHOWN && (
                  <Table.Tr>
                    <Table.Td colSpan={3} className="dimmed">
                      and {formatCount(uuids.length - SILENT_SHOWN)} more
                    </Table.Td>
                  </Table.Tr>
                )}
              </Table.Tbody>
            </Table>
          )}
        </Loaded>
      )}
    </Panel>
  );
}

function History({ items }: { items: readonly Alert[] }) {
  return (
    <Table>
      <Table.Thead>
        <Table.Tr>
          <Table.Th>When</Table.Th>
          <Table.Th>What</Table.Th>
          <Table.Th>Message</Table.Th>
          <Table.Th className="from-600">Told by</Table.Th>
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {items.map(({ id, kind, at, summary, sensors, count, deliveries }) => (
          <Table.Tr key={id}>
            <Table.Td>
              <Time at={at} ago />
            </Table.Td>
            <Table.Td>
              <Tone tone={kind === 'silent' || kind === 'damaged' ? 'bad' : kind === 'test' ? 'idle' : 'good'}>
                {KINDS[kind]}
              </Tone>
            </Table.Td>
            <Table.Td style={{ overflowWrap: 'anywhere' }}>
              {summary}
              {sensors.length > 0 && (
                <details>
                  <summary className="dimmed">{formatCount(count)} sensors</summary>
                  <ul style={{ margin: '4px 0', paddingLeft: 18 }}>
                    {sensors.map(({ uuid, description }) => (
                      <li key={uuid}>
                        <Link to="/sensors/$uuid" params={{ uuid }} className="plain">
                          {sensorName({ uuid, name: '', description })}
                        </Link>
                      </li>
                    ))}
                    {count > sensors.length && <li>and {formatCount(count - sensors.length)} more</li>}
                  </ul>
                </details>
              )}
            </Table.Td>
            <Table.Td className="from-600">
              {deliveries.length === 0 ? (
                <span className="dimmed">nobody</span>
              ) : (
                deliveries.map(({ way, error, attempts }) => (
                  <div key={way}>
                    <Tone tone={error === null ? 'good' : 'bad'} title={`${formatCount(attempts)} attempts`}>
                      {WAYS[way]}
                      {error === null ? '' : `: ${error}`}
                    </Tone>
                  </div>
                ))
              )}
            </Table.Td>
          </Table.Tr>
        ))}
      </Table.Tbody>
    </Table>
  );
}
