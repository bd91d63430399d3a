import { SegmentedControl } from '@mantine/core';
import { useMemo, useState } from 'react';
import type { Schemas } from '../../api/client.ts';
import { type LiveRates, useLive } from '../../api/live.tsx';
import { Chart, type Series } from '../../parts/chart.tsx';
import { formatBytes, formatRate } from '../../parts/format.ts';
import { Panel } from '../../parts/page.tsx';

type Unit = 'bytes' | 'frames';

const MINUTE_MS = 60_000;
/** What the live chart spans. */
const LIVE_MS = 3 * MINUTE_MS;
/** Types with a line of their own; the others are one together. */
const LINES = 5;

/** What comes in: by type in the last minutes, live, or all together in the last hour. */
export function LiveChart({ minutes, at }: { minutes: Schemas['Overview']['rates']['minutes']; at: number }) {
  const { rates, connected } = useLive();
  const [span, setSpan] = useState('live');
  const [unit, setUnit] = useState<Unit>('bytes');
  const live = useMemo(() => ({ times: rates.map((each) => each.at), series: byType(rates, unit) }), [rates, unit]);
  const hour = useMemo(() => {
    // The last one still goes on: it would look as if less came.
    const values = minutes[unit].slice(0, -1).map((value) => value / 60);
    const first = at - (at % MINUTE_MS) - values.length * MINUTE_MS;
    return { times: values.map((_, minute) => first + minute * MINUTE_MS), series: [{ name: 'All types', values }] };
  }, [minutes, unit, at]);
  const { times, series } = span === 'live' ? live : hour;
  return (
    <Panel
      title={
        <>
          Coming in{' '}
          <span role="status" className="dimmed" style={{ fontWeight: 400, fontSize: 13 }}>
            {span === 'live' && (connected ? 'by type, live' : 'not connected: trying again')}
          </span>
        </>
      }
      actions={
        <div style={{ display: 'flex', gap: 8, flexWrap: 'wrap' }}>
          <SegmentedControl
            size="xs"
            aria-label="Unit"
            value={unit}
            onChange={(value) => setUnit(value as Unit)}
            data={[
              { value: 'bytes', label: 'Bytes' },
              { value: 'frames', label: 'Frames' },
            ]}
          />
          <SegmentedControl
            size="xs"
            aria-label="Span"
            value={span}
            onChange={setSpan}
            data={[
              { value: 'live', label: 'Live' },
              { value: 'hour', label: 'Last hour' },
            ]}
          />
        </div>
      }
    >
      <Chart
        label={`${unit === 'bytes' ? 'Bytes' : 'Frames'} a second, ${span === 'live' ? 'in the last minutes' : 'in the last hour'}`}
        times={times}
        {...(span === 'live' && { span: LIVE_MS })}
        series={series}
        write={unit === 'bytes' ? (value) => `${formatBytes(value)}/s` : formatRate}
      />
    </Panel>
  );
}

function byType(rates: readonly LiveRates[], unit: Unit): Series[] {
  const index = unit === 'frames' ? 0 : 1;
  const sums = new Map<string, number>();
  for (const { topics } of rates) {
    for (const [topic, values] of Object.entries(topics)) sums.set(topic, (sums.get(topic) ?? 0) + values[index]);
  }
  const largest = [...sums].sort(([, a], [, b]) => b - a).map(([topic]) => topic);
  const shown = largest.slice(0, LINES).sort();
  const lines = shown.map((topic) => ({
    name: `type ${topic}`,
    values: rates.map(({ topics }) => topics[topic]?.[index] ?? 0),
  }));
  if (largest.length > LINES) {
    const rest = largest.slice(LINES);
    lines.push({
      name: 'others',
      values: rates.map(({ topics }) => rest.reduce((sum, topic) => sum + (topics[topic]?.[index] ?? 0), 0)),
    });
  }
  return lines.length > 0 ? lines : [{ name: 'nothing yet', values: rates.map(() => 0) }];
}
