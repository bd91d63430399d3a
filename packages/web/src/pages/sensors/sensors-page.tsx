import { Button } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { IconPlus, IconRouter } from '@tabler/icons-react';
import { useInfiniteQuery, useQuery } from '@tanstack/react-query';
import { getRouteApi, Link } from '@tanstack/react-router';
import { useDeferredValue, useMemo, useState } from 'react';
import type { Schemas } from '../../api/client.ts';
import { type SensorFilter, sensorFacets, sensorList, sparklines } from '../../api/queries.ts';
import { DataTable } from '../../parts/data-table.tsx';
import { formatCount } from '../../parts/format.ts';
import { ProblemAlert, SkeletonRows } from '../../parts/loaded.tsx';
import { NothingFits } from '../../parts/nothing-fits.tsx';
import { Empty, Page, Panel } from '../../parts/page.tsx';
import { sensorName } from '../../parts/sensor-name.ts';
import { useMay } from '../../session/session.tsx';
import { AddSensorDialog } from './add-sensor-dialog.tsx';
import { BulkBar } from './bulk-bar.tsx';
import { sensorColumns } from './columns.tsx';
import { Filters } from './filters.tsx';
import { isFiltered, type SensorOrder, type SensorsSearch } from './search.ts';

const route = getRouteApi('/sensors');

/** Every sensor: found, compared, and decided on many at once. */
export function SensorsPage() {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const may = useMay('user');
  const facets = useQuery(sensorFacets);
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const [adding, { open, close }] = useDisclosure(false);
  const change = (next: Partial<SensorsSearch>) =>
    void navigate({ search: (before) => ({ ...before, focus: undefined, ...next }), replace: true });
  const add = may && (
    <Button leftSection={<IconPlus size={16} />} onClick={open}>
      Add a sensor
    </Button>
  );
  return (
    <Page
      title="Sensors"
      about={facets.data ? `${formatCount(facets.data.total)} registered` : 'Every sensor that is registered'}
      actions={add}
    >
      <Filters search={search} change={change} facets={facets.data} />
      {facets.data?.total === 0 ? (
        <Panel>
          <Empty icon={<IconRouter size={32} stroke={1.4} />} title="No sensor is registered" action={add}>
            Add one here, or start a sensor with this server's address: it then knocks, and waits under{' '}
            <Link to="/enrolment">Enrolment</Link>.
          </Empty>
        </Panel>
      ) : (
        <List search={search} change={change} {...(may && { selection: { chosen, change: setChosen } })} />
      )}
      {chosen.size > 0 && <BulkBar uuids={[...chosen]} clear={() => setChosen(new Set())} />}
      <AddSensorDialog opened={adding} close={close} />
    </Page>
  );
}

function List({
  search,
  change,
  selection,
}: {
  search: SensorsSearch;
  change: (next: Partial<SensorsSearch>) => void;
  selection?: { chosen: ReadonlySet<string>; change: (chosen: ReadonlySet<string>) => void };
}) {
  const query = useInfiniteQuery(sensorList(filterOf(search)));
  const lastHour = useQuery(sparklines);
  const columns = useMemo(() => sensorColumns(lastHour.data?.sparklines), [lastHour.data]);
  const { fetchNextPage, hasNextPage, isFetchingNextPage } = query;
  // Drawn in slices, as the columns: many rows and sparklines come at once.
  const data = useDeferredValue(query.data);
  const shownColumns = useDeferredValue(columns);
  const rows = useMemo(() => (data === undefined ? [] : distinct(data.pages.flatMap(({ items }) => items))), [data]);
  if (data === undefined) {
    return (
      <Panel flush>
        {query.isError ? (
          <ProblemAlert error={query.error} again={() => query.refetch()} />
        ) : (
          <SkeletonRows rows={12} />
        )}
      </Panel>
    );
  }
  const total = data.pages.at(-1)?.total ?? 0;
  if (total === 0) {
    return (
      <Panel flush>
        <NothingFits
          icon={<IconRouter size={30} stroke={1.4} />}
          title="No sensor is like that"
          showAll={() =>
            change({
              text: undefined,
              state: undefined,
              type: undefined,
              tag: undefined,
              mail: undefined,
              group: undefined,
            })
          }
        />
      </Panel>
    );
  }
  return (
    <>
      {query.isError && <ProblemAlert error={query.error} again={() => query.refetch()} stale />}
      {isFiltered(search) && (
        <p className="dimmed" role="status" style={{ margin: '0 0 8px', fontSize: 13 }}>
          {formatCount(total)} found
        </p>
      )}
      <DataTable
        label="Sensors"
        rows={rows}
        total={total}
        keyOf={({ uuid }) => uuid}
        nameOf={sensorName}
        columns={shownColumns}
        order={{ by: search.by ?? 'name', descending: search.descending === true }}
        onOrder={({ by, descending }) => change({ by: by as SensorOrder, descending: descending || undefined })}
        {...(selection !== undefined && { selection })}
        {...(hasNextPage && !isFetchingNextPage && { more: () => void fetchNextPage() })}
      />
    </>
  );
}

function filterOf({ text, state, type, tag, mail, group, by, descending }: SensorsSearch): SensorFilter {
  return {
    ...(text !== undefined && { text }),
    ...(state !== undefined && { state }),
    ...(type !== undefined && { type }),
    ...(tag !== undefined && { tag }),
    ...(mail !== undefined && { mail }),
    ...(group !== undefined && { group }),
    sort: by ?? 'name',
    ...(descending === true && { descending }),
  };
}

/** A sensor whose place has changed between two answers may be in both. */
function distinct(sensors: Schemas['Sensor'][]): Schemas['Sensor'][] {
  return [...new Map(sensors.map((sensor) => [sensor.uuid, sensor])).values()];
}
