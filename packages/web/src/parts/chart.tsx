import { Table, useComputedColorScheme } from '@mantine/core';
import { useEffect, useRef } from 'react';
import uPlot from 'uplot';
import { FONTS } from '../theme.ts';
import classes from './chart.module.css';
import { formatLocal } from './format.ts';
import { useWidth } from './width.ts';

/** One line of a chart. */
export interface Series {
  readonly name: string;
  /** One for each time. */
  readonly values: readonly number[];
}

const HEIGHT = 180;
/** Between marks of an axis of values: whole numbers, as smaller ones look alike once they are written. */
const STEPS = Array.from({ length: 16 }, (_, power) => [1, 2, 5].map((step) => step * 10 ** power)).flat();
/** Told apart without red and green, and by most who do not see all colours; of each the light page's, then the dark one's. */
const COLOURS = [
  ['#0b6b80', '#38abc2'],
  ['#a04a00', '#f0a25c'],
  ['#6c3fb4', '#b795f0'],
  ['#8a6d00', '#e0c04a'],
  ['#44606f', '#9db8c7'],
  ['#a3245f', '#f08bb8'],
] as const;

/**
 * Series over time. What it shows is in a table too, for those who do not see it.
 * @param times ms since 1970, growing
 * @param write how a value is written, on the axis and in the table
 */
export function Chart({
  label,
  times,
  series,
  write,
  bars = false,
  span,
}: {
  label: string;
  times: readonly number[];
  series: readonly Series[];
  write: (value: number) => string;
  /** For amounts of a period, rather than a rate at a time. */
  bars?: boolean;
  /** Time that the chart always spans up to its last point, ms; what the points span if not given. */
  span?: number;
}) {
  const scheme = useComputedColorScheme('light');
  const [width, measure] = useWidth();
  const holder = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(undefined);
  const names = series.map(({ name }) => name).join('\n');
  const colour = (at: number) => COLOURS[at % COLOURS.length]?.[scheme === 'dark' ? 1 : 0] ?? '';

  // biome-ignore lint/correctness/useExhaustiveDependencies: drawn anew only where its form changes; data comes below
  useEffect(() => {
    if (holder.current === null || width === 0) return undefined;
    const line = getComputedStyle(document.documentElement).getPropertyValue('--d4-line-soft');
    const text = getComputedStyle(document.documentElement).getPropertyValue('--mantine-color-dimmed');
    const axis = {
      stroke: text,
      grid: { stroke: line, width: 1 },
      ticks: { show: false },
      font: `11px ${FONTS}`,
    };
    const chart = new uPlot(
      {
        width,
        height: HEIGHT,
        // The last mark on the axis of times is written half beyond its end.
        padding: [8, 18, 0, 0],
        cursor: { drag: { x: false, y: false } },
        scales: {
          x: {
            range: ({ data: [[one = 0, other = one]] }, first, last) => [
              span === undefined ? first : last - span / 1000,
              // A bar stands from the beginning of its period to the end.
              bars ? last + other - one : last,
            ],
          },
          y: { range: (_plot, _least, most) => [0, most > 0 ? most * 1.1 : 1] },
        },
        axes: [
          {
            ...axis,
            size: 30,
            space: 80,
            values: (_plot, splits, _axis, _space, step) => splits.map((at) => timeMark(at * 1000, step)),
          },
          { ...axis, size: 64, incrs: STEPS, values: (_plot, splits) => splits.map(write) },
        ],
        series: [
          {},
          ...series.map(({ name }, at) => ({
            label: name,
            stroke: colour(at),
            // A bar of nothing has no line either.
            width: bars ? 0 : 1.5,
            points: { show: false },
            ...(series.length === 1 && { fill: `${colour(at)}26` }),
            ...(bars &&
              uPlot.paths.bars !== undefined && {
                paths: uPlot.paths.bars({ size: [0.8, 40], align: 1 }),
                fill: `${colour(at)}${series.length === 1 ? 'b0' : '80'}`,
              }),
          })),
        ],
      },
      dataOf(times, series),
      holder.current,
    );
    plot.current = chart;
    return () => {
      plot.current = undefined;
      chart.destroy();
    };
  }, [width, scheme, names, bars, span]);

  useEffect(() => plot.current?.setData(dataOf(times, series)), [times, series]);

  return (
    <figure ref={measure} className={classes.chart} style={{ margin: 0 }} aria-label={label}>
      {series.length > 1 && (
        <ul className={classes.keys}>
          {series.map(({ name }, at) => (
            <li key={name}>
              <i style={{ background: colour(at) }} aria-hidden="true" />
              {name}
            </li>
          ))}
        </ul>
      )}
      <div ref={holder} aria-hidden="true" style={{ minHeight: HEIGHT }} />
      <details className={classes.table}>
        <summary>As a table</summary>
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard */}
        <section tabIndex={0} aria-label={label}>
          <Table>
            <Table.Thead>
              <Table.Tr>
                <Table.Th>Time</Table.Th>
                {series.map(({ name }) => (
                  <Table.Th key={name} className="end">
                    {name}
                  </Table.Th>
                ))}
              </Table.Tr>
            </Table.Thead>
            <Table.Tbody>
              {times.map((time, at) => (
                <Table.Tr key={time}>
                  <Table.Td>{formatLocal(time)}</Table.Td>
                  {series.map(({ name, values }) => (
                    <Table.Td key={name} className="end">
                      {write(values[at] ?? 0)}
                    </Table.Td>
                  ))}
                </Table.Tr>
              ))}
            </Table.Tbody>
          </Table>
        </section>
      </details>
    </figure>
  );
}

/** A time on the axis, as exact as the step between marks, in s, asks for. */
function timeMark(at: number, step: number): string {
  const local = formatLocal(at);
  if (step >= 86_400) return local.slice(5, 10);
  return step < 60 ? local.slice(11) : local.slice(11, 16);
}

function dataOf(times: readonly number[], series: readonly Series[]): uPlot.AlignedData {
  return [times.map((time) => time / 1000), ...series.map(({ values }) => [...values])];
}
