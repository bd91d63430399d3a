import { Button, Pill, Select, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { getRouteApi } from '@tanstack/react-router';
import { useEffect, useState } from 'react';
import { maltrailSummary } from '../../api/queries.ts';
import { formatCount } from '../../parts/format.ts';
import { Page, Panel } from '../../parts/page.tsx';
import { type MaltrailSearch, maltrailSearch, SEVERITIES, THREAT_ORDERS } from './search.ts';
import { ThreatsTable } from './threats-table.tsx';

const route = getRouteApi('/maltrail');
const ORDER_WORDS = { last: 'Seen last', first: 'First seen last', events: 'Most events', severity: 'Worst' } as const;

/** What the sensors of a Maltrail network have found. */
export function MaltrailPage() {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const summary = useQuery(maltrailSummary);
  const [text, setText] = useState(search.text ?? '');
  useEffect(() => setText(search.text ?? ''), [search.text]);
  const change = (next: Record<string, unknown>) =>
    void navigate({ search: (before) => maltrailSearch({ ...before, ...next }) });
  return (
    <Page title="Maltrail" about={summary.data && aboutText(summary.data)}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          change({ text: text.trim() });
        }}
        style={{ display: 'flex', gap: 10, flexWrap: 'wrap', marginBottom: 12 }}
      >
        <TextInput
          data-page-search
          aria-label="Search threats"
          placeholder="Source, trail, type, info, reference"
          value={text}
          onChange={(event) => setText(event.currentTarget.value)}
          style={{ flex: '1 1 220px', maxWidth: 360 }}
        />
        <Button type="submit" variant="default">
          Show
        </Button>
        <Select
          aria-label="Severity"
          placeholder="Any severity"
          clearable
          clearButtonProps={{ 'aria-label': 'Any severity' }}
          value={search.severity ?? null}
          onChange={(severity) => change({ severity })}
          data={[...SEVERITIES]}
          style={{ flex: '1 1 150px', maxWidth: 220 }}
        />
        <Select
          aria-label="Order"
          allowDeselect={false}
          value={search.sort ?? 'last'}
          onChange={(sort) => change({ sort })}
          data={THREAT_ORDERS.map((value) => ({ value, label: ORDER_WORDS[value] }))}
          style={{ flex: '1 1 150px', maxWidth: 220 }}
        />
      </form>
      <Chosen search={search} drop={(name) => change({ [name]: undefined })} />
      <Panel flush>
        <ThreatsTable filter={search} />
      </Panel>
    </Page>
  );
}

/** What was chosen by links, to be let go of. */
function Chosen({ search, drop }: { search: MaltrailSearch; drop: (name: string) => void }) {
  const chosen = (['source', 'trail', 'sensor'] as const).filter((name) => search[name] !== undefined);
  if (chosen.length === 0) return null;
  return (
    <div style={{ display: 'flex', gap: 8, flexWrap: 'wrap', marginBottom: 12 }}>
      {chosen.map((name) => (
        <Pill
          key={name}
          withRemoveButton
          removeButtonProps={{ 'aria-label': `Any ${name}` }}
          onRemove={() => drop(name)}
        >
          {name} {search[name]}
        </Pill>
      ))}
    </div>
  );
}

function aboutText({ threats, events, bySeverity }: { threats: number; events: number; bySeverity: { high: number } }) {
  const found = `${formatCount(events)} events in 30 days, ${formatCount(bySeverity.high)} of them high`;
  return `Threats: events by source and trail. ${formatCount(threats)} are kept; ${found}`;
}
