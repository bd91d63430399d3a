import type { ReactNode } from 'react';
import { formatLocal } from './format.ts';
import classes from './timeline.module.css';

/** Something that lasted. Times are ms since 1970. */
export interface Span {
  readonly key: string;
  readonly from: number;
  readonly to: number;
  /** Goes on now. */
  readonly live: boolean;
  /** What it was, on hover. */
  readonly title: string;
}

/** What happened in one place. */
export interface Lane {
  readonly name: string;
  readonly spans: readonly Span[];
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Between two marks of the axis, the smallest that leaves no more than so many. */
const STEPS = [HOUR_MS / 6, HOUR_MS, 3 * HOUR_MS, 6 * HOUR_MS, DAY_MS, 2 * DAY_MS, 7 * DAY_MS, 14 * DAY_MS];
const MARKS = 8;
/** What was there for a moment is seen all the same, of the whole width. */
const LEAST_SHARE = 0.003;

/**
 * When something was, in lanes over time. What it shows stands in a table too, which the caller gives, for those who do not
 * see it and those who compare.
 * @param from to what it spans, ms since 1970
 */
export function Timeline({
  label,
  lanes,
  from,
  to,
  table,
}: {
  label: string;
  lanes: readonly Lane[];
  from: number;
  to: number;
  table: ReactNode;
}) {
  const share = (at: number) => Math.min(1, Math.max(0, (at - from) / (to - from)));
  const percent = (part: number) => `${(part * 100).toFixed(3)}%`;
  return (
    <figure aria-label={label} style={{ margin: 0 }}>
      <div className={classes.lanes} aria-hidden="true">
        {lanes.map(({ name, spans }) => (
          <div key={name} className={classes.lane}>
            <span className="mono ellipsis" title={name}>
              {name}
            </span>
            <div className={classes.track}>
              {spans.map((span) => {
                const start = Math.min(share(span.from), 1 - LEAST_SHARE);
                return (
                  <i
                    key={span.key}
                    title={span.title}
                    data-live={span.live || undefined}
                    style={{ left: percent(start), width: percent(Math.max(LEAST_SHARE, share(span.to) - start)) }}
                  />
                );
              })}
            </div>
          </div>
        ))}
        <div className={classes.lane}>
          <span />
          <div className={classes.axis}>
            {marksBetween(from, to).map(({ at, text }) => (
              <span key={at} style={{ left: percent(share(at)) }}>
                {text}
              </span>
            ))}
          </div>
        </div>
      </div>
      <details className={classes.table}>
        <summary>As a table</summary>
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard */}
        <section tabIndex={0} aria-label={label}>
          {table}
        </section>
      </details>
    </figure>
  );
}

/** Round moments of the reader's day. */
function marksBetween(from: number, to: number): { at: number; text: string }[] {
  const step = STEPS.find((each) => (to - from) / each <= MARKS) ?? 30 * DAY_MS;
  const zone = new Date(from).getTimezoneOffset() * 60_000;
  const first = Math.ceil((from - zone) / step) * step + zone;
  const marks: { at: number; text: string }[] = [];
  for (let at = first; at < to; at += step) {
    const local = formatLocal(at);
    marks.push({ at, text: step >= DAY_MS ? local.slice(5, 10) : local.slice(11, 16) });
  }
  return marks;
}
