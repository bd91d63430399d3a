import { Select } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { status, types } from '../../api/queries.ts';
import { formatSpan } from '../../parts/format.ts';
import { Page, Panel } from '../../parts/page.tsx';
import { SensorSearch } from '../../parts/sensor-search.tsx';
import { FilesTable } from './files-table.tsx';

const route = getRouteApi('/archive');

/** What was received, in files. */
export function ArchivePage() {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const accepted = useQuery(types);
  const server = useQuery(status);
  const behind = server.data?.archive.topics.filter(({ lagMs, error }) => lagMs > 60_000 || error !== null) ?? [];
  return (
    <Page title="Archive" about={server.data && `Finished files below ${server.data.archive.root}`}>
      <div style={{ display: 'flex', gap: 10, flexWrap: 'wrap', marginBottom: 12 }}>
        <SensorSearch
          data-page-search
          uuid={search.sensor}
          onChange={(sensor) => void navigate({ search: (before) => ({ ...before, sensor }) })}
          style={{ flex: '1 1 220px', maxWidth: 480 }}
        />
        <Select
          aria-label="Type"
          placeholder="Any type"
          clearable
          clearButtonProps={{ 'aria-label': 'Any type' }}
          value={search.type ?? null}
          onChange={(type) => void navigate({ search: (before) => ({ ...before, type: type ?? undefined }) })}
          data={(accepted.data?.items ?? []).map(({ name, title }) => ({ value: name, label: `${name} · ${title}` }))}
          style={{ flex: '1 1 220px', maxWidth: 400 }}
        />
      </div>
      {behind.map(({ topic, lagMs, error }) => (
        <p key={topic} role="status" style={{ color: 'var(--d4-warn)', fontSize: 14 }}>
          Type {topic} is {formatSpan(lagMs)} behind{error === null ? '.' : `: ${error}`}
        </p>
      ))}
      <Panel flush>
        <FilesTable filter={search} />
      </Panel>
    </Page>
  );
}
