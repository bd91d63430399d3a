import { formatBytes } from './format.ts';
import classes from './parts.module.css';

const WIDTH = 96;
const HEIGHT = 22;

/**
 * The shape of the last while, without axes.
 * @param values one for each step of time, the oldest first
 * @param label what it shows, for readers of the page's text
 */
export function Sparkline({
  values,
  label,
  write = formatBytes,
}: {
  values: readonly number[];
  label: string;
  write?: (value: number) => string;
}) {
  const most = Math.max(...values, 0);
  const text = `${label}: at most ${write(most)}`;
  const step = WIDTH / Math.max(1, values.length - 1);
  const y = (value: number) => (most === 0 ? HEIGHT - 1 : HEIGHT - 1 - (value / most) * (HEIGHT - 3));
  const line = values
    .map((value, at) => `${at === 0 ? 'M' : 'L'}${(at * step).toFixed(1)} ${y(value).toFixed(1)}`)
    .join('');
  return (
    <svg
      className={classes.sparkline}
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      width={WIDTH}
      height={HEIGHT}
      role="img"
      aria-label={text}
    >
      <title>{text}</title>
      {most > 0 && <path d={`${line}L${WIDTH} ${HEIGHT}L0 ${HEIGHT}Z`} fill="currentColor" opacity="0.14" />}
      <path
        d={line}
        fill="none"
        stroke="currentColor"
        strokeWidth="1.3"
        opacity={most > 0 ? 1 : 0.35}
        strokeLinejoin="round"
      />
    </svg>
  );
}
