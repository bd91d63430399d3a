import { Button, Select, TextInput } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { IconPlayerPause, IconPlayerPlay } from '@tabler/icons-react';
import { useEffect, useMemo, useState, useSyncExternalStore } from 'react';
import type { Schemas } from '../../../api/client.ts';
import { formatCount } from '../../../parts/format.ts';
import { Empty, Panel } from '../../../parts/page.tsx';
import classes from './tail.module.css';
import { TailRows } from './tail-rows.tsx';
import { KEPT_ROWS, type TailState, TailStore } from './tail-store.ts';

/** The server is told of a filter when nothing was typed for so long, in ms. */
const TYPED_MS = 400;
const ALL = 'all';

/** What the sensor sends, as it comes. Nothing is asked for before somebody wants to see it. */
export function Tail({ sensor }: { sensor: Schemas['Sensor'] }) {
  const [watched, watch] = useState(false);
  if (watched) return <OpenTail sensor={sensor} stop={() => watch(false)} />;
  return (
    <Panel
      title="Live"
      actions={
        <Button size="xs" variant="default" leftSection={<IconPlayerPlay size={14} />} onClick={() => watch(true)}>
          Watch what it sends
        </Button>
      }
    >
      <p className="dimmed" style={{ margin: 0, fontSize: 13 }}>
        Lines as text, packets as a summary, JSON folded; at most 50 records a second.
      </p>
    </Panel>
  );
}

function OpenTail({ sensor, stop }: { sensor: Schemas['Sensor']; stop: () => void }) {
  const [store] = useState(() => new TailStore());
  const live = useSyncExternalStore(store.subscribe, store.state);
  const [topic, setTopic] = useState(ALL);
  const [filter, setFilter] = useState('');
  const [asked] = useDebouncedValue(filter.trim(), TYPED_MS);
  const [attempt, again] = useState(0);
  const [paused, pause] = useState<TailState>();

  // biome-ignore lint/correctness/useExhaustiveDependencies: another attempt opens it anew
  useEffect(() => {
    const query = new URLSearchParams({ ...(topic !== ALL && { topic }), ...(asked !== '' && { filter: asked }) });
    store.open(`/api/v1/sensors/${encodeURIComponent(sensor.uuid)}/tail?${query}`);
    return () => store.close();
  }, [store, sensor.uuid, topic, asked, attempt]);

  const { rows: held } = paused ?? live;
  const rows = useMemo(() => {
    const wanted = filter.trim().toLowerCase();
    return held.filter((row) => (topic === ALL || row.topic === topic) && row.text.toLowerCase().includes(wanted));
  }, [held, topic, filter]);
  const topics = [...new Set([...sensor.topics, ...sensor.sessions].map((each) => each.topic))].sort();

  return (
    <Panel
      flush
      title="Live"
      actions={
        <Button size="xs" variant="default" onClick={stop}>
          Stop watching
        </Button>
      }
    >
      <div className={classes.controls}>
        <Button
          size="xs"
          variant={paused ? 'filled' : 'default'}
          leftSection={paused ? <IconPlayerPlay size={14} /> : <IconPlayerPause size={14} />}
          onClick={() => pause(paused ? undefined : live)}
        >
          {paused ? 'Go on' : 'Pause'}
        </Button>
        <Select
          size="xs"
          aria-label="Type"
          w={130}
          allowDeselect={false}
          value={topic}
          onChange={(value) => setTopic(value ?? ALL)}
          data={[{ value: ALL, label: 'all types' }, ...topics.map((value) => ({ value, label: `type ${value}` }))]}
        />
        <TextInput
          size="xs"
          className={classes.filter}
          aria-label="Only records with"
          placeholder="Only records with …"
          maxLength={200}
          value={filter}
          onChange={(event) => setFilter(event.currentTarget.value)}
        />
        <Button
          size="xs"
          variant="subtle"
          color="gray"
          onClick={() => {
            store.clear();
            pause(undefined);
          }}
        >
          Clear
        </Button>
      </div>
      <TailRows rows={rows} showTopic={topic === ALL} following={!paused} onLeave={() => pause(store.state())}>
        <Nothing connection={live.connection} filtered={rows.length < held.length} />
      </TailRows>
      <Foot live={live} paused={paused} shown={rows.length} again={() => again(attempt + 1)} />
    </Panel>
  );
}

function Nothing({ connection, filtered }: { connection: TailState['connection']; filtered: boolean }) {
  if (connection === 'refused') {
    return <Empty title="The server does not show it">Too many may be watching: fifty can at a time.</Empty>;
  }
  if (filtered) return <Empty title="Nothing fits">Records came, but none with this in it.</Empty>;
  return <Empty title="Waiting for its next record">What it sent before is in its files, and in the queues.</Empty>;
}

function Foot({
  live,
  paused,
  shown,
  again,
}: {
  live: TailState;
  paused: TailState | undefined;
  shown: number;
  again: () => void;
}) {
  const meanwhile = paused === undefined ? 0 : live.came - paused.came;
  const facts = [
    `${formatCount(shown)} shown`,
    ...(shown >= KEPT_ROWS ? [`only the last ${formatCount(KEPT_ROWS)} are kept here`] : []),
    ...(live.skipped > 0 ? [`${formatCount(live.skipped)} skipped: more came than can be shown`] : []),
    ...(meanwhile > 0 ? [`${formatCount(meanwhile)} came since the pause`] : []),
  ];
  return (
    <div className={classes.foot}>
      <span className={classes.light} data-connection={paused ? 'paused' : live.connection} aria-hidden="true" />
      <span role="status">
        {paused ? 'Paused' : { connecting: 'Connecting', open: 'Live', refused: 'Not connected' }[live.connection]}
      </span>
      <span className="numbers">{facts.join(' · ')}</span>
      {live.connection === 'refused' && (
        <Button size="compact-xs" variant="default" onClick={again}>
          Try again
        </Button>
      )}
    </div>
  );
}
