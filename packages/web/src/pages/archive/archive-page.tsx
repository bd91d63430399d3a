import { Button, Select, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { useEffect, useState } from 'react';
import { status, types } from '../../api/queries.ts';
import { formatSpan } from '../../parts/format.ts';
import { Page, Panel } from '../../parts/page.tsx';
import { FilesTable } from './files-table.tsx';

const route = getRouteApi('/archive');

/** What was received, in files. */
export function ArchivePage() {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const accepted = useQuery(types);
  const server = useQuery(status);
  const [sensor, setSensor] = useState(search.sensor ?? '');
  useEffect(() => setSensor(search.sensor ?? ''), [search.sensor]);
  const behind = server.data?.archive.topics.filter(({ lagMs, error }) => lagMs > 60_000 || error !== null) ?? [];
  return (
    <Page title="Archive" about={server.data && `Finished files below ${server.data.archive.root}`}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void navigate({
            search: (before) => ({ ...before, sensor: sensor.trim() === '' ? undefined : sensor.trim() }),
          });
        }}
        style={{ display: 'flex', gap: 10, flexWrap: 'wrap', marginBottom: 12 }}
      >
        <TextInput
          data-page-search
          aria-label="Sensor's uuid"
          placeholder="Sensor's uuid"
          value={sensor}
          onChange={(event) => setSensor(event.currentTarget.value)}
          style={{ flex: '1 1 220px', maxWidth: 400 }}
        />
        <Button type="submit" variant="default">
          Show
        </Button>
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
      </form>
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
