import { Button, Modal, Table } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { useAction } from '../../api/action.ts';
import { answered, api, type Schemas } from '../../api/client.ts';
import { formatCount, formatLocal, shortUuid } from '../../parts/format.ts';
import { sentence } from '../../parts/loaded.tsx';
import { Facts, Panel } from '../../parts/page.tsx';
import { Time } from '../../parts/time.tsx';
import { Tone } from '../../parts/tone.tsx';
import { useMay } from '../../session/session.tsx';
import classes from './queues.module.css';
import { ReplayForm } from './replay-form.tsx';
import { RewindForm } from './rewind-form.tsx';

type Queue = Schemas['Queue'];
type Replay = Schemas['Replay'];

const LOOKS = {
  running: { word: 'running', tone: 'good' },
  done: { word: 'done', tone: 'calm' },
  cancelled: { word: 'cancelled', tone: 'idle' },
  failed: { word: 'failed', tone: 'bad' },
} as const satisfies Record<Replay['state'], object>;

/** What comes again: items that consumers have not acknowledged, the position moved back, and parts of the past. */
export function Again({ queue }: { queue: Queue }) {
  const may = useMay('user');
  const [rewinding, rewind] = useDisclosure(false);
  const [replaying, replay] = useDisclosure(false);
  const { claimed, rewound, replayed, replays } = queue;
  return (
    <Panel
      title="Again"
      actions={
        may && (
          <div style={{ display: 'flex', gap: 8 }}>
            <Button size="xs" variant="default" onClick={rewind.open}>
              Rewind
            </Button>
            <Button size="xs" variant="default" onClick={replay.open}>
              Replay
            </Button>
          </div>
        )
      }
    >
      <Facts
        facts={[
          [
            'With consumers',
            claimed === 0
              ? 'nothing that is not acknowledged'
              : `${formatCount(claimed)} ${claimed === 1 ? 'item' : 'items'} handed out over HTTP and not acknowledged yet`,
          ],
          ['Rewound', `${formatCount(rewound)} items came again`],
          ['Replayed', `${formatCount(replayed)} items came out of replays`],
        ]}
      />
      {replays.length > 0 && <ReplayTable queue={queue} replays={replays} may={may} />}
      <Modal opened={rewinding} onClose={rewind.close} title="Rewind" closeButtonProps={{ 'aria-label': 'Close' }}>
        <RewindForm queue={queue} close={rewind.close} />
      </Modal>
      <Modal opened={replaying} onClose={replay.close} title="Replay" closeButtonProps={{ 'aria-label': 'Close' }}>
        <ReplayForm queue={queue} close={replay.close} />
      </Modal>
    </Panel>
  );
}

function ReplayTable({ queue, replays, may }: { queue: Queue; replays: readonly Replay[]; may: boolean }) {
  const cancel = useAction(
    (replay: string) =>
      answered(
        api.DELETE('/api/v1/queues/{uuid}/replays/{replay}', { params: { path: { uuid: queue.uuid, replay } } }),
      ),
    { done: () => 'The replay is over: what was left of it does not come', stale: ['queues'] },
  );
  return (
    <div className={classes.replays}>
      <Table aria-label="Replays">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Of</Table.Th>
            <Table.Th className="from-600">Time</Table.Th>
            <Table.Th>State</Table.Th>
            <Table.Th>Progress</Table.Th>
            <Table.Th className="from-600 end">Begun</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {replays.map((replay) => (
            <Table.Tr key={replay.id}>
              <Table.Td>
                type <span className="mono">{replay.topic}</span>
                {replay.sensors !== null && (
                  <div className="dimmed">
                    {replay.sensors.length === 1
                      ? shortUuid(replay.sensors[0] ?? '')
                      : `${formatCount(replay.sensors.length)} sensors`}
                  </div>
                )}
              </Table.Td>
              <Table.Td className="from-600">
                {formatLocal(replay.from)} to {formatLocal(replay.to)}
              </Table.Td>
              <Table.Td>
                <Tone tone={LOOKS[replay.state].tone} title={replay.error ?? undefined}>
                  {LOOKS[replay.state].word}
                </Tone>
                {replay.error !== null && <div className="dimmed">{sentence(replay.error)}</div>}
              </Table.Td>
              <Table.Td>
                <Progress replay={replay} />
                {may && replay.state === 'running' && (
                  <div style={{ marginTop: 4 }}>
                    <Button
                      size="compact-xs"
                      variant="default"
                      loading={cancel.isPending && cancel.variables === replay.id}
                      onClick={() => cancel.mutate(replay.id)}
                    >
                      Cancel
                    </Button>
                  </div>
                )}
              </Table.Td>
              <Table.Td className="from-600 end">
                <Time at={replay.startedAt} ago />
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </div>
  );
}

/** How far a replay is; of the archive, whose files are not counted before they are read, only what was delivered. */
function Progress({ replay: { delivered, left, lost, missingFiles, source, state } }: { replay: Replay }) {
  const notes = [
    `${formatCount(delivered)} taken`,
    ...(state !== 'running' || left === null ? [] : [`${formatCount(left)} left`]),
    ...(state === 'running' && source === 'archive' ? ['reads the archive'] : []),
    ...(lost > 0 ? [`${formatCount(lost)} lost`] : []),
    ...(missingFiles > 0 ? [`${formatCount(missingFiles)} files missing`] : []),
  ];
  const all = left === null ? undefined : delivered + left;
  return (
    <>
      {state === 'running' && all !== undefined && all > 0 && (
        <progress className={classes.progress} value={delivered} max={all} aria-label="Taken of the replay" />
      )}
      <span className="numbers">{notes.join(', ')}</span>
    </>
  );
}
