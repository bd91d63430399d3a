import { Button, SegmentedControl } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { peek } from '../../api/queries.ts';
import { hexDump, itemBytes } from '../../parts/hex.ts';
import { Loaded } from '../../parts/loaded.tsx';
import { Empty, Panel } from '../../parts/page.tsx';
import classes from './queues.module.css';

const COUNTS = ['10', '100', '1000'];
/** Of one item, at most so many bytes are shown. */
const SHOWN_BYTES = 4_096;

/** The oldest items of a queue, without taking them. */
export function Peek({ uuid }: { uuid: string }) {
  const [count, setCount] = useState('10');
  const [form, setForm] = useState('text');
  const query = useQuery(peek(uuid, Number(count)));
  return (
    <Panel
      flush
      title="What comes next"
      actions={
        <div style={{ display: 'flex', gap: 8, flexWrap: 'wrap' }}>
          <SegmentedControl
            size="xs"
            aria-label="Shown as"
            value={form}
            onChange={setForm}
            data={[
              { value: 'text', label: 'Text' },
              { value: 'hex', label: 'Hex' },
            ]}
          />
          <SegmentedControl size="xs" aria-label="How many" value={count} onChange={setCount} data={COUNTS} />
          <Button size="xs" variant="default" loading={query.isFetching} onClick={() => void query.refetch()}>
            Refresh
          </Button>
        </div>
      }
    >
      <Loaded query={query}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty title="Nothing waits">
              Either nothing has come yet, or consumers are faster. The oldest items show up here, and stay in the
              queue.
            </Empty>
          ) : (
            // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard
            <ol className={classes.items} aria-label="Oldest items" tabIndex={0}>
              {items.map((item, at) => (
                // biome-ignore lint/suspicious/noArrayIndexKey: an item has nothing but its place
                <li key={at}>
                  <span>{at + 1}</span>
                  {form === 'hex' || item.encoding === 'base64' ? (
                    <pre data-hex="">{hexDump(itemBytes(item), SHOWN_BYTES)}</pre>
                  ) : (
                    <pre>
                      {item.data.length > SHOWN_BYTES ? `${item.data.slice(0, SHOWN_BYTES)}…` : item.data || ' '}
                    </pre>
                  )}
                </li>
              ))}
            </ol>
          )
        }
      </Loaded>
    </Panel>
  );
}
