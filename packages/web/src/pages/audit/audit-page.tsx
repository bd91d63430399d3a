import { Button, TextInput } from '@mantine/core';
import { useDebouncedCallback } from '@mantine/hooks';
import { IconClipboardList, IconDownload, IconLock, IconSearch } from '@tabler/icons-react';
import { useInfiniteQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { useEffect, useState } from 'react';
import { auditRecords } from '../../api/queries.ts';
import { ProblemAlert, SkeletonRows } from '../../parts/loaded.tsx';
import { NothingFits } from '../../parts/nothing-fits.tsx';
import { Empty, Page, Panel } from '../../parts/page.tsx';
import { useMay } from '../../session/session.tsx';
import { AuditTable } from './audit-table.tsx';
import type { AuditSearch } from './search.ts';

const route = getRouteApi('/audit');

/** What was done, by whom. */
export function AuditPage() {
  const search = route.useSearch();
  const may = useMay('admin');
  const params = new URLSearchParams({ format: 'csv', ...search });
  return (
    <Page
      title="Audit"
      about="Every change and every login: who, from where, what, before and after"
      actions={
        may && (
          <Button
            component="a"
            variant="default"
            leftSection={<IconDownload size={15} />}
            href={`/api/v1/audit/export?${params}`}
            download
          >
            Export as CSV
          </Button>
        )
      }
    >
      {may ? (
        <Records search={search} />
      ) : (
        <Panel>
          <Empty icon={<IconLock size={30} stroke={1.4} />} title="For administrators">
            Who did what is shown to administrators only.
          </Empty>
        </Panel>
      )}
    </Page>
  );
}

function Records({ search }: { search: AuditSearch }) {
  const navigate = route.useNavigate();
  const [text, setText] = useState(search.text ?? '');
  // The address can change without this field: by "Show all", by going back.
  useEffect(
    () => setText((before) => (before.trim() === (search.text ?? '') ? before : (search.text ?? ''))),
    [search.text],
  );
  const query = useInfiniteQuery(auditRecords(search));
  const apply = useDebouncedCallback(
    (value: string) =>
      void navigate({
        search: (before) => ({ ...before, text: value.trim() === '' ? undefined : value.trim() }),
        replace: true,
      }),
    250,
  );
  const records = query.data?.pages.flatMap(({ items }) => items) ?? [];
  const names = new Map(query.data?.pages.flatMap((page) => Object.entries(page.names)));
  return (
    <>
      <search style={{ display: 'flex', gap: 10, flexWrap: 'wrap', marginBottom: 12 }}>
        <TextInput
          data-page-search
          aria-label="Search the audit"
          placeholder="Who, address, uuid, what…   ( / )"
          leftSection={<IconSearch size={16} />}
          value={text}
          onChange={(event) => {
            setText(event.currentTarget.value);
            apply(event.currentTarget.value);
          }}
          style={{ flex: '1 1 260px', maxWidth: 460 }}
        />
        {(search.who ?? search.kind) !== undefined && (
          <Button
            variant="default"
            onClick={() => void navigate({ search: search.text === undefined ? {} : { text: search.text } })}
          >
            Only {search.who ?? search.kind} ×
          </Button>
        )}
      </search>
      {query.isError && <ProblemAlert error={query.error} again={() => query.refetch()} />}
      <Panel flush>
        {query.data === undefined && !query.isError && <SkeletonRows rows={10} />}
        {query.data !== undefined && records.length === 0 && !query.hasNextPage && (
          <NothingFits
            icon={<IconClipboardList size={30} stroke={1.4} />}
            title="Nothing like that was done"
            showAll={() => void navigate({ search: {} })}
          />
        )}
        {records.length > 0 && <AuditTable records={records} names={names} />}
        {query.hasNextPage && (
          <div style={{ padding: 12, textAlign: 'center' }}>
            <Button variant="default" loading={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
              Older records
            </Button>
          </div>
        )}
      </Panel>
    </>
  );
}
