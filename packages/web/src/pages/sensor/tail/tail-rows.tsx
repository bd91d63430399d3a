import { IconChevronDown, IconChevronRight } from '@tabler/icons-react';
import { useVirtualizer } from '@tanstack/react-virtual';
import { type ReactNode, useEffect, useRef, useState } from 'react';
import { formatBytes, formatLocal, formatUtc } from '../../../parts/format.ts';
import { indentJson } from '../../../parts/indent-json.ts';
import { visibleText } from '../../../parts/visible-text.ts';
import classes from './tail.module.css';
import type { TailRow } from './tail-store.ts';

const ROW_PX = 26;
/** Longer ones are folded, in characters. */
const LINE = 160;
/** Whoever scrolls so far away from the end wants to read, in px. */
const AWAY_PX = 60;

/**
 * Records, the newest last; only those in sight exist in the page.
 * @param following whether it stays at the end as records come
 * @param onLeave called when somebody scrolls away from the end
 */
export function TailRows({
  rows,
  showTopic,
  following,
  onLeave,
  children,
}: {
  rows: readonly TailRow[];
  showTopic: boolean;
  following: boolean;
  onLeave: () => void;
  /** Shown where there is no row. */
  children: ReactNode;
}) {
  const scroller = useRef<HTMLDivElement>(null);
  const lastTop = useRef(0);
  const [unfolded, setUnfolded] = useState<ReadonlySet<number>>(new Set());
  const virtualizer = useVirtualizer({
    count: rows.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_PX,
    overscan: 10,
    getItemKey: (index) => rows[index]?.id ?? index,
  });

  const last = rows.at(-1)?.id;
  // biome-ignore lint/correctness/useExhaustiveDependencies: each new row leads to the end
  useEffect(() => {
    if (following && rows.length > 0) virtualizer.scrollToIndex(rows.length - 1, { align: 'end' });
  }, [following, last, virtualizer]);

  function scrolled(): void {
    const element = scroller.current;
    if (element === null) return;
    const fromEnd = element.scrollHeight - element.clientHeight - element.scrollTop;
    if (following && fromEnd > AWAY_PX && element.scrollTop < lastTop.current) onLeave();
    lastTop.current = element.scrollTop;
  }

  function turn(id: number): void {
    const next = new Set(unfolded);
    if (!next.delete(id)) next.add(id);
    setUnfolded(next);
  }

  return (
    <div
      ref={scroller}
      className={classes.rows}
      role="log"
      aria-live="off"
      aria-label="Records"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard
      tabIndex={0}
      onScroll={scrolled}
    >
      {rows.length === 0 && children}
      <div style={{ height: virtualizer.getTotalSize(), position: 'relative' }}>
        {virtualizer.getVirtualItems().map(({ index, key, start }) => {
          const row = rows[index];
          if (row === undefined) return null;
          return (
            <div
              key={key}
              ref={virtualizer.measureElement}
              data-index={index}
              className={classes.row}
              style={{ transform: `translateY(${start}px)` }}
            >
              <Row row={row} showTopic={showTopic} open={unfolded.has(row.id)} turn={() => turn(row.id)} />
            </div>
          );
        })}
      </div>
    </div>
  );
}

function Row({ row, showTopic, open, turn }: { row: TailRow; showTopic: boolean; open: boolean; turn: () => void }) {
  const { at, topic, kind, text, bytes, isCut, capturedAt } = row;
  const folds = kind === 'json' || text.length > LINE || text.includes('\n');
  const Chevron = open ? IconChevronDown : IconChevronRight;
  const shown = kind === 'bytes' ? spaced(text) : visibleText(text);
  return (
    <>
      <time
        dateTime={new Date(at).toISOString()}
        title={`${formatUtc(at)}${capturedAt === undefined ? '' : `\ncaptured ${formatUtc(capturedAt)}`}\n${formatBytes(bytes)}`}
      >
        {formatLocal(at).slice(11)}
      </time>
      {showTopic && <span className={classes.topic}>{topic}</span>}
      {folds ? (
        <button type="button" aria-expanded={open} aria-label={open ? 'Fold' : 'Unfold'} onClick={turn}>
          <Chevron size={14} aria-hidden="true" />
        </button>
      ) : (
        <span />
      )}
      <span className={classes.text} data-open={open || undefined} data-kind={kind} dir="auto">
        {open && kind === 'json' ? visibleText(indentJson(text)) : shown}
        {isCut && <em title={`${formatBytes(bytes)} in all`}> … {formatBytes(bytes)}</em>}
      </span>
    </>
  );
}

/** Hexadecimal in pairs. */
function spaced(hex: string): string {
  return hex.replace(/(..)(?=.)/g, '$1 ');
}
