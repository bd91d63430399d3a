import { Skeleton } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { lazy, type ReactNode, Suspense } from 'react';
import type { Schemas } from '../../api/client.ts';
import { useLive } from '../../api/live.tsx';
import { overview } from '../../api/queries.ts';
import { Bytes } from '../../parts/bytes.tsx';
import { formatBytes, formatCount, formatFull, formatShort } from '../../parts/format.ts';
import { Loaded } from '../../parts/loaded.tsx';
import { Page } from '../../parts/page.tsx';
import { SENSOR_STATES, STATE_LOOKS } from '../../parts/sensor-states.ts';
import { Attention } from './attention.tsx';
import { GrowingQueues, TopSensors, TopTypes } from './lists.tsx';
import classes from './overview.module.css';

type Overview = Schemas['Overview'];

// By itself, while the data comes: what draws it is larger than the rest of the page.
const liveChart = import('./live-chart.tsx');
const LiveChart = lazy(async () => ({ default: (await liveChart).LiveChart }));
/** Of one type, px. */
const CHART_HEIGHT = 290;

/** The server at a glance: what needs somebody first, then how it is, live. */
export function OverviewPage() {
  const query = useQuery(overview);
  return (
    <Page title="Overview">
      <Loaded query={query} rows={10}>
        {(server) => (
          <div className={classes.stack}>
            <Attention items={server.attention} empty={server.sensors.total === 0} />
            <Cards server={server} />
            <States byState={server.sensors.byState} />
            <Suspense fallback={<Skeleton height={CHART_HEIGHT} />}>
              <LiveChart minutes={server.rates.minutes} at={server.at} />
            </Suspense>
            <div className={classes.lists}>
              <TopTypes server={server} />
              <TopSensors sensors={server.today.sensors} />
              <GrowingQueues queues={server.queues} />
            </div>
          </div>
        )}
      </Loaded>
    </Page>
  );
}

function Cards({ server }: { server: Overview }) {
  const now = useLive().rates.at(-1);
  const { byState, total } = server.sensors;
  const bytes = now?.bytes ?? server.rates.total.bytes;
  const frames = now?.frames ?? server.rates.total.frames;
  return (
    <div className={classes.cards}>
      <Card name="Receiving" value={formatCount(byState.receiving ?? 0)} note={`of ${formatCount(total)} sensors`} />
      <Card
        name="Quiet"
        value={formatCount(byState.quiet ?? 0)}
        note={`${formatCount(server.sessions)} sessions in all`}
      />
      <Card
        name="Coming in"
        value={<Bytes value={Math.round(bytes)} perSecond />}
        note={`${formatShort(Math.round(frames * 10) / 10)} frames a second`}
      />
      <Card
        name="Today (UTC)"
        value={<Bytes value={server.today.bytes} />}
        note={`${formatShort(server.today.frames)} frames`}
      />
      <Disk disk={server.disk} />
    </div>
  );
}

function Disk({ disk: { disks, state, forecast, fullInDays } }: { disk: Overview['disk'] }) {
  const tightest = disks.toSorted((a, b) => a.freeBytes / a.bytes - b.freeBytes / b.bytes)[0];
  if (tightest === undefined) return null;
  const used = 1 - tightest.freeBytes / tightest.bytes;
  const note =
    forecast === 'full' && fullInDays !== null
      ? formatFull(fullInDays)
      : forecast === 'never'
        ? 'not filling up'
        : 'forecast not known yet';
  return (
    <Card
      name="Disk, free"
      value={
        <span style={state === 'ok' ? undefined : { color: 'var(--d4-bad)' }}>{formatBytes(tightest.freeBytes)}</span>
      }
      note={
        <>
          {Math.round(used * 100)} % used, {note}
        </>
      }
    />
  );
}

function Card({ name, value, note }: { name: string; value: ReactNode; note: ReactNode }) {
  return (
    <div className={classes.card}>
      <div className={classes.cardName}>{name}</div>
      <div className={classes.cardValue}>{value}</div>
      <div className={classes.cardName}>{note}</div>
    </div>
  );
}

/** How the sensors are, as one bar; each part leads to its list. */
function States({ byState }: { byState: Readonly<Record<string, number>> }) {
  const present = SENSOR_STATES.map((state) => ({ state, count: byState[state] ?? 0 })).filter(
    ({ count }) => count > 0,
  );
  if (present.length === 0) return null;
  return (
    <section aria-label="Sensors by state">
      <div className={classes.bar} aria-hidden="true">
        {present.map(({ state, count }) => (
          <i key={state} style={{ flexGrow: count, background: `var(--d4-${STATE_LOOKS[state].tone})` }} />
        ))}
      </div>
      <ul className={classes.legend}>
        {present.map(({ state, count }) => (
          <li key={state}>
            <Link to="/sensors" search={{ state }} className="plain" title={STATE_LOOKS[state].meaning}>
              <i style={{ background: `var(--d4-${STATE_LOOKS[state].tone})` }} aria-hidden="true" />
              <strong>{formatCount(count)}</strong> {STATE_LOOKS[state].word}
            </Link>
          </li>
        ))}
      </ul>
    </section>
  );
}
