import { Button, Menu } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { IconBan, IconDots, IconPencil, IconPlugConnectedX, IconTrash } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { getRouteApi, Link, useNavigate } from '@tanstack/react-router';
import { useAction } from '../../api/action.ts';
import { answered, api, type Schemas } from '../../api/client.ts';
import { sensor as sensorQuery } from '../../api/queries.ts';
import { ask } from '../../parts/ask.tsx';
import { ButtonLink } from '../../parts/button-link.tsx';
import { Bytes } from '../../parts/bytes.tsx';
import { formatBytes } from '../../parts/format.ts';
import { Loaded } from '../../parts/loaded.tsx';
import { Facts, Page, Panel } from '../../parts/page.tsx';
import { sensorName } from '../../parts/sensor-name.ts';
import { StateBadge } from '../../parts/state-badge.tsx';
import { Time } from '../../parts/time.tsx';
import { Uuid } from '../../parts/uuid.tsx';
import { useMay } from '../../session/session.tsx';
import { FilesTable } from '../archive/files-table.tsx';
import { BlockDialog } from '../blocks/blocks-page.tsx';
import { ConfigurationDialog } from './configuration-dialog.tsx';
import { EditDialog } from './edit-dialog.tsx';
import { EraseDialog } from './erase-dialog.tsx';
import { History } from './history.tsx';
import { ReplaceKeyDialog, RevealKeyDialog } from './key-dialogs.tsx';
import { Ledger } from './ledger.tsx';
import { PastSessions } from './past-sessions.tsx';
import { Claimed, Refusals } from './refusals.tsx';
import { Rules } from './rules.tsx';
import classes from './sensor.module.css';
import { Streams } from './streams.tsx';
import { Tail } from './tail/tail.tsx';
import { ByType, Sessions } from './traffic.tsx';

type Sensor = Schemas['Sensor'];

const route = getRouteApi('/sensors/$uuid');

/** Everything about one sensor, and what can be done with it. */
export function SensorPage() {
  const { uuid } = route.useParams();
  const query = useQuery(sensorQuery(uuid));
  if (query.data === undefined) {
    return (
      <Page title="Sensor" heading={<span className="mono">{uuid}</span>}>
        <Panel flush>
          <Loaded query={query} rows={8}>
            {() => null}
          </Loaded>
        </Panel>
      </Page>
    );
  }
  return <SensorFacts sensor={query.data} key={uuid} />;
}

function SensorFacts({ sensor }: { sensor: Sensor }) {
  const may = useMay('user');
  return (
    <Page
      title={sensorName(sensor)}
      about={
        <span className={classes.under}>
          <StateBadge state={sensor.state} refusedFor={sensor.refusedFor} />
          <Uuid value={sensor.uuid} whole />
        </span>
      }
      actions={<Actions sensor={sensor} />}
    >
      <div className={classes.columns}>
        <div className={classes.column}>
          <History uuid={sensor.uuid} />
          <ByType sensor={sensor} />
          {may && <Tail sensor={sensor} />}
          <Sessions sensor={sensor} />
          <PastSessions uuid={sensor.uuid} />
          <Streams sensor={sensor} />
          <Refusals sensor={sensor} />
          <Claimed sensor={sensor} />
          <Ledger uuid={sensor.uuid} />
          <Panel
            flush
            title="Files"
            actions={
              <ButtonLink to="/archive" search={{ sensor: sensor.uuid }} size="xs" variant="default">
                All its files
              </ButtonLink>
            }
          >
            <FilesTable filter={{ sensor: sensor.uuid }} brief />
          </Panel>
        </div>
        <div className={classes.column}>
          <Panel title="Facts">
            <Facts
              facts={[
                ['Last seen', <Time key="last" at={sensor.lastSeen} ago />],
                [
                  'Last address',
                  sensor.lastAddress === null ? (
                    '–'
                  ) : (
                    <span key="address" className="mono">
                      {sensor.lastAddress}
                    </span>
                  ),
                ],
                ['First seen', <Time key="first" at={sensor.firstSeen} />],
                ['Registered', <Time key="registered" at={sensor.createdAt} />],
                ['Decision', sensor.registration],
                sensor.tags.length > 0 ? ['Tags', <Tags key="tags" tags={sensor.tags} />] : undefined,
                sensor.previousKeyUntil !== null
                  ? [
                      'Key before this one',
                      <span key="key">
                        holds until <Time at={sensor.previousKeyUntil} />
                      </span>,
                    ]
                  : undefined,
                sensor.unproven ? ['Registered by', 'itself, with the default key'] : undefined,
                sensor.thirdParty ? ['Third party', 'yes'] : undefined,
                [
                  "Owner's mail",
                  sensor.mail === '' ? (
                    '–'
                  ) : (
                    <span key="mail">
                      <a href={`mailto:${encodeURIComponent(sensor.mail)}`}>{sensor.mail}</a>,{' '}
                      <Link to="/sensors" search={{ mail: sensor.mail }}>
                        all of this owner
                      </Link>
                    </span>
                  ),
                ],
                [
                  'Description',
                  sensor.description === '' ? (
                    '–'
                  ) : (
                    <span key="description" style={{ whiteSpace: 'pre-wrap' }}>
                      {sensor.description}
                    </span>
                  ),
                ],
              ]}
            />
          </Panel>
          <Rules sensor={sensor} />
          <Limits sensor={sensor} />
        </div>
      </div>
    </Page>
  );
}

function Tags({ tags }: { tags: readonly string[] }) {
  return (
    <span style={{ display: 'inline-flex', flexWrap: 'wrap', gap: 5 }}>
      {tags.map((tag) => (
        <Link key={tag} to="/sensors" search={{ tag }} className="tag">
          {tag}
        </Link>
      ))}
    </span>
  );
}

function Limits({ sensor }: { sensor: Sensor }) {
  const { maxBytesPerDay, maxBytesPerSecond, maxPayloadBytes, bytesToday } = sensor;
  return (
    <Panel title="Limits">
      <Facts
        facts={[
          [
            'Sent today (UTC)',
            <span key="today">
              <Bytes value={bytesToday} /> with headers
            </span>,
          ],
          [
            'A day',
            maxBytesPerDay === null ? 'not limited' : <Quota key="day" used={bytesToday} most={maxBytesPerDay} />,
          ],
          [
            'A second',
            maxBytesPerSecond === null ? 'not limited' : <Bytes key="second" value={maxBytesPerSecond} perSecond />,
          ],
          [
            'A payload',
            maxPayloadBytes === null ? 'as the server has it' : <Bytes key="payload" value={maxPayloadBytes} />,
          ],
        ]}
      />
    </Panel>
  );
}

function Quota({ used, most }: { used: number; most: number }) {
  const share = Math.min(1, used / most);
  return (
    <span>
      {formatBytes(most)}, {Math.floor(share * 100)} % used
      <span className={classes.meter} aria-hidden="true">
        <i style={{ width: `${share * 100}%` }} data-full={share >= 1 || undefined} />
      </span>
    </span>
  );
}

function Actions({ sensor }: { sensor: Sensor }) {
  const { uuid, registration, state, sessions, previousKeyUntil } = sensor;
  const may = useMay('user');
  const admin = useMay('admin');
  const navigate = useNavigate();
  const [editing, edit] = useDisclosure(false);
  const [blocking, block] = useDisclosure(false);
  const [replacing, replaceKey] = useDisclosure(false);
  const [revealing, revealKey] = useDisclosure(false);
  const [configuring, configure] = useDisclosure(false);
  const [erasing, erase] = useDisclosure(false);
  const params = { params: { path: { uuid } } };
  const stale = ['sensors', 'status', 'blocks'];
  const approve = useAction(() => answered(api.POST('/api/v1/sensors/{uuid}/approve', params)), {
    done: () => 'Approved',
    stale,
  });
  const revoke = useAction(() => answered(api.POST('/api/v1/sensors/{uuid}/revoke', params)), {
    done: () => 'Revoked',
    stale,
  });
  const kick = useAction(() => answered(api.POST('/api/v1/sensors/{uuid}/kick', params)), {
    done: ({ connections }) => `${connections} ${connections === 1 ? 'connection' : 'connections'} closed`,
    stale,
  });
  const unblock = useAction(
    () => answered(api.DELETE('/api/v1/blocks/{target}', { params: { path: { target: uuid } } })),
    { done: () => 'No longer blocked', stale },
  );
  const endOverlap = useAction(() => answered(api.DELETE('/api/v1/sensors/{uuid}/key/previous', params)), {
    done: () => 'Only the new key holds now',
    stale,
  });
  const remove = useAction(() => answered(api.DELETE('/api/v1/sensors/{uuid}', params)), {
    done: () => 'Removed',
    stale,
  });
  if (!may) return null;
  return (
    <>
      {registration !== 'approved' && (
        <Button loading={approve.isPending} onClick={() => approve.mutate(undefined)}>
          Approve
        </Button>
      )}
      <Button variant="default" leftSection={<IconPencil size={15} />} onClick={edit.open}>
        Edit
      </Button>
      <Button
        variant="default"
        leftSection={<IconPlugConnectedX size={15} />}
        disabled={sessions.length === 0}
        onClick={() =>
          ask({
            title: 'Kick this sensor?',
            text: 'Its connections are closed; it may come again at once.',
            confirm: 'Kick',
            onConfirm: () => kick.mutate(undefined),
          })
        }
      >
        Kick
      </Button>
      {state === 'blocked' ? (
        <Button variant="default" onClick={() => unblock.mutate(undefined)}>
          Unblock
        </Button>
      ) : (
        <Button variant="default" leftSection={<IconBan size={15} />} onClick={block.open}>
          Block
        </Button>
      )}
      <Menu position="bottom-end">
        <Menu.Target>
          <Button variant="default" px={8} aria-label="More to do with this sensor">
            <IconDots size={18} />
          </Button>
        </Menu.Target>
        <Menu.Dropdown>
          {registration !== 'revoked' && (
            <Menu.Item
              onClick={() =>
                ask({
                  title: registration === 'pending' ? 'Refuse this sensor?' : 'Revoke this sensor?',
                  text: 'Its connections are closed, and it is refused until it is approved again.',
                  confirm: registration === 'pending' ? 'Refuse' : 'Revoke',
                  onConfirm: () => revoke.mutate(undefined),
                })
              }
            >
              {registration === 'pending' ? 'Refuse it' : 'Revoke the approval'}
            </Menu.Item>
          )}
          {admin && <Menu.Item onClick={configure.open}>Configuration for the client</Menu.Item>}
          <Menu.Item onClick={replaceKey.open}>Replace the key</Menu.Item>
          {admin && <Menu.Item onClick={revealKey.open}>Reveal the key</Menu.Item>}
          {previousKeyUntil !== null && (
            <Menu.Item onClick={() => endOverlap.mutate(undefined)}>End the overlap of keys</Menu.Item>
          )}
          {admin && (
            <Menu.Item color="red" onClick={erase.open}>
              Erase its data
            </Menu.Item>
          )}
          <Menu.Item
            color="red"
            leftSection={<IconTrash size={15} />}
            onClick={() =>
              ask({
                title: `Remove ${sensorName(sensor)}?`,
                text: 'The sensor, its key and its counters are forgotten; what it sent stays. It cannot be undone.',
                confirm: 'Remove',
                onConfirm: () => remove.mutate(undefined, { onSuccess: () => void navigate({ to: '/sensors' }) }),
              })
            }
          >
            Remove it
          </Menu.Item>
        </Menu.Dropdown>
      </Menu>
      <ReplaceKeyDialog sensor={sensor} opened={replacing} close={replaceKey.close} />
      <RevealKeyDialog sensor={sensor} opened={revealing} close={revealKey.close} />
      <ConfigurationDialog sensor={sensor} opened={configuring} close={configure.close} />
      <EraseDialog sensor={sensor} opened={erasing} close={erase.close} />
      <EditDialog sensor={sensor} opened={editing} close={edit.close} />
      <BlockDialog target={uuid} opened={blocking} close={block.close} />
    </>
  );
}
