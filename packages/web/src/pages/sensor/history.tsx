import { SegmentedControl } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useMemo, useState } from 'react';
import type { Schemas } from '../../api/client.ts';
import { type HistoryRange, history } from '../../api/queries.ts';
import { Chart } from '../../parts/chart.tsx';
import { formatBytes, formatShort } from '../../parts/format.ts';
import { Loaded } from '../../parts/loaded.tsx';
import { Panel } from '../../parts/page.tsx';

type Measure = 'bytes' | 'frames' | 'records' | 'files';

const MEASURES: readonly { value: Measure; label: string }[] = [
  { value: 'bytes', label: 'Bytes' },
  { value: 'frames', label: 'Frames' },
  { value: 'records', label: 'Items' },
  { value: 'files', label: 'Files' },
];

/** What the sensor sent, by type, over an hour, a day or a month. */
export function History({ uuid }: { uuid: string }) {
  const [range, setRange] = useState<HistoryRange>('day');
  const [measure, setMeasure] = useState<Measure>('bytes');
  const query = useQuery(history(uuid, range));
  // By minute, only what passed is counted.
  const measures = range === 'hour' ? MEASURES.slice(0, 2) : MEASURES;
  const shown = measures.some(({ value }) => value === measure) ? measure : 'bytes';
  return (
    <Panel
      title="History"
      actions={
        <div style={{ display: 'flex', gap: 8, flexWrap: 'wrap' }}>
          <SegmentedControl
            size="xs"
            aria-label="Measure"
            value={shown}
            onChange={(value) => setMeasure(value as Measure)}
            data={[...measures]}
          />
          <SegmentedControl
            size="xs"
            aria-label="Span"
            value={range}
            onChange={(value) => setRange(value as HistoryRange)}
            data={[
              { value: 'hour', label: 'Hour' },
              { value: 'day', label: 'Day' },
              { value: 'month', label: '30 days' },
            ]}
          />
        </div>
      }
    >
      <Loaded query={query}>{(data) => <Plot data={data} measure={shown} />}</Loaded>
    </Panel>
  );
}

function Plot({ data, measure }: { data: Schemas['History']; measure: Measure }) {
  const { times, series } = useMemo(() => {
    const named = data.topics.map((topic) => ({ name: `type ${topic.topic}`, values: topic[measure] }));
    return {
      times: Array.from({ length: data.points }, (_, at) => data.start + at * data.stepMs),
      series:
        named.length > 0 ? named : [{ name: 'nothing yet', values: Array.from({ length: data.points }, () => 0) }],
    };
  }, [data, measure]);
  const label = `${MEASURES.find(({ value }) => value === measure)?.label} by ${{ hour: 'minute', day: 'hour', month: 'day' }[data.range]}`;
  return (
    <Chart label={label} times={times} series={series} write={measure === 'bytes' ? formatBytes : formatShort} bars />
  );
}
