import { IconArrowDown, IconArrowUp } from '@tabler/icons-react';
import { useWindowVirtualizer } from '@tanstack/react-virtual';
import {
  type CSSProperties,
  memo,
  type ReactNode,
  useCallback,
  useEffect,
  useLayoutEffect,
  useMemo,
  useRef,
} from 'react';
import classes from './data-table.module.css';
import { usePlace } from './width.ts';

/** One column of a `DataTable`. */
export interface Column<T> {
  readonly key: string;
  readonly title: string;
  readonly cell: (row: T) => ReactNode;
  /** A CSS grid track: `minmax(160px, 2fr)`. */
  readonly width: string;
  /** Numbers stand at the end, so that their digits are in line. */
  readonly end?: boolean;
  /** Whether rows can be in its order. */
  readonly sortable?: boolean;
  /** It is left out where the table is narrower, in px. */
  readonly from?: number;
}

/** By what rows are in order. */
export interface Order {
  readonly by: string;
  readonly descending: boolean;
}

/** Which rows are chosen. */
export interface Selection {
  readonly chosen: ReadonlySet<string>;
  readonly change: (chosen: ReadonlySet<string>) => void;
}

/**
 * A table of any length: only the rows on the screen exist in the page. Its order is the caller's work.
 * @param rowHeight px
 * @param more asked for when the last rows come into sight, while there are any
 */
export function DataTable<T>({
  label,
  rows,
  total = rows.length,
  keyOf,
  nameOf,
  columns,
  order,
  onOrder,
  selection,
  rowHeight = 42,
  more,
}: {
  label: string;
  rows: readonly T[];
  total?: number;
  keyOf: (row: T) => string;
  /** What a row is called, for its checkbox. */
  nameOf: (row: T) => string;
  columns: readonly Column<T>[];
  order?: Order;
  onOrder?: (order: Order) => void;
  selection?: Selection;
  rowHeight?: number;
  more?: () => void;
}) {
  const [place, measure] = usePlace();
  const { width = 0, top: offset = 0 } = place ?? {};
  const lastChosen = useRef<string | undefined>(undefined);
  const virtualizer = useWindowVirtualizer({
    count: rows.length,
    estimateSize: () => rowHeight,
    overscan: 6,
    scrollMargin: offset,
    getItemKey: (index) => {
      const row = rows[index];
      return row === undefined ? index : keyOf(row);
    },
  });
  // Before it is known what there is room for, rows would be drawn twice.
  const items = place === undefined ? [] : virtualizer.getVirtualItems();
  const lastShown = items.at(-1)?.index ?? 0;
  useEffect(() => {
    if (more !== undefined && rows.length < total && lastShown >= rows.length - 20) more();
  }, [more, rows.length, total, lastShown]);

  const shown = useMemo(() => columns.filter(({ from = 0 }) => width >= from), [columns, width]);
  const tracks = [...(selection === undefined ? [] : ['20px']), ...shown.map((column) => column.width)].join(' ');
  const all = selection !== undefined && rows.length > 0 && rows.every((row) => selection.chosen.has(keyOf(row)));

  function choose(row: T, range: boolean): void {
    if (selection === undefined) return;
    const key = keyOf(row);
    const next = new Set(selection.chosen);
    const on = !next.has(key);
    for (const each of range ? between(rows.map(keyOf), lastChosen.current ?? key, key) : [key]) {
      if (on) next.add(each);
      else next.delete(each);
    }
    lastChosen.current = key;
    selection.change(next);
  }

  // Rows are drawn anew only where they have changed, not whenever something is scrolled or chosen.
  const chooseNow = useRef(choose);
  useLayoutEffect(() => {
    chooseNow.current = choose;
  });
  const onChoose = useCallback((row: T, range: boolean) => chooseNow.current(row, range), []);

  return (
    // biome-ignore lint/a11y/useSemanticElements: a table element cannot leave out the rows that are not on the screen
    <div
      role="table"
      aria-label={label}
      aria-rowcount={total + 1}
      className={classes.table}
      style={{ '--columns': tracks } as CSSProperties}
    >
      {/* biome-ignore lint/a11y/useSemanticElements: as above */}
      {/* biome-ignore lint/a11y/useFocusableInteractive: a row of headings takes no focus */}
      <div role="row" aria-rowindex={1} className={classes.head}>
        {selection !== undefined && (
          // biome-ignore lint/a11y/useSemanticElements: as above
          // biome-ignore lint/a11y/useFocusableInteractive: its checkbox does
          <div role="columnheader" className={classes.choice}>
            <input
              type="checkbox"
              aria-label="Choose all that are listed"
              checked={all}
              ref={(input) => {
                if (input !== null) input.indeterminate = !all && selection.chosen.size > 0;
              }}
              onChange={() => selection.change(all ? new Set() : new Set(rows.map(keyOf)))}
            />
          </div>
        )}
        {shown.map((column) => (
          <Heading key={column.key} column={column} order={order} onOrder={onOrder} />
        ))}
      </div>
      {/* biome-ignore lint/a11y/useSemanticElements: as above */}
      <div role="rowgroup" ref={measure} className={classes.body} style={{ height: virtualizer.getTotalSize() }}>
        {items.map((item) => {
          const row = rows[item.index];
          if (row === undefined) return null;
          const key = keyOf(row);
          return (
            <Row
              key={key}
              row={row}
              name={nameOf(row)}
              index={item.index}
              top={item.start - offset}
              height={item.size}
              columns={shown}
              chosen={selection?.chosen.has(key)}
              onChoose={onChoose}
            />
          );
        })}
      </div>
      {rows.length < total && <div className={classes.more}>Loading more…</div>}
    </div>
  );
}

interface RowProps<T> {
  row: T;
  name: string;
  index: number;
  /** px */
  top: number;
  height: number;
  columns: readonly Column<T>[];
  /** Undefined where rows cannot be chosen. */
  chosen: boolean | undefined;
  onChoose: (row: T, range: boolean) => void;
}

/** One row; its place is all that scrolling changes. */
const Row = memo(DrawnRow) as typeof DrawnRow;

function DrawnRow<T>({ row, name, index, top, height, columns, chosen, onChoose }: RowProps<T>) {
  return (
    // biome-ignore lint/a11y/useSemanticElements: a table element cannot leave out the rows that are not on the screen
    // biome-ignore lint/a11y/useFocusableInteractive: what can be done is in its cells
    <div
      role="row"
      aria-rowindex={index + 2}
      aria-selected={chosen}
      className={classes.row}
      style={{ height, transform: `translateY(${top}px)` }}
    >
      {chosen !== undefined && (
        // biome-ignore lint/a11y/useSemanticElements: as above
        <div role="cell" className={classes.choice}>
          <input
            type="checkbox"
            aria-label={`Choose ${name}`}
            checked={chosen}
            onChange={(event) => onChoose(row, (event.nativeEvent as MouseEvent).shiftKey === true)}
          />
        </div>
      )}
      {columns.map((column) => (
        // biome-ignore lint/a11y/useSemanticElements: as above
        <div key={column.key} role="cell" className={classes.cell} data-end={column.end || undefined}>
          {column.cell(row)}
        </div>
      ))}
    </div>
  );
}

function Heading<T>({
  column,
  order,
  onOrder,
}: {
  column: Column<T>;
  order: Order | undefined;
  onOrder: ((order: Order) => void) | undefined;
}) {
  const { key, title, sortable = false, end } = column;
  const sorted = order?.by === key;
  const Arrow = order?.descending ? IconArrowDown : IconArrowUp;
  return (
    // biome-ignore lint/a11y/useSemanticElements: see DataTable
    // biome-ignore lint/a11y/useFocusableInteractive: its button does
    <div
      role="columnheader"
      className={classes.cell}
      data-end={end || undefined}
      aria-sort={sorted ? (order.descending ? 'descending' : 'ascending') : undefined}
    >
      {sortable && onOrder !== undefined ? (
        <button
          type="button"
          onClick={() => onOrder({ by: key, descending: sorted ? !order.descending : end === true })}
        >
          {title}
          {sorted && <Arrow size={13} aria-hidden="true" />}
        </button>
      ) : (
        title
      )}
    </div>
  );
}

/** The part of a list from one of its keys to another, whichever comes first. */
function between(keys: readonly string[], one: string, other: string): string[] {
  const [a, b] = [keys.indexOf(one), keys.indexOf(other)];
  return a < 0 || b < 0 ? [other] : keys.slice(Math.min(a, b), Math.max(a, b) + 1);
}
