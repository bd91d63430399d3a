import { Button, Table } from '@mantine/core';
import { IconSpider } from '@tabler/icons-react';
import { useInfiniteQuery } from '@tanstack/react-query';
import { Link, useNavigate } from '@tanstack/react-router';
import type { Schemas } from '../../api/client.ts';
import { threats } from '../../api/queries.ts';
import { formatCount } from '../../parts/format.ts';
import { ProblemAlert, SkeletonRows } from '../../parts/loaded.tsx';
import { NothingFits } from '../../parts/nothing-fits.tsx';
import { Empty } from '../../parts/page.tsx';
import { Time } from '../../parts/time.tsx';
import { Tone } from '../../parts/tone.tsx';
import type { MaltrailSearch } from './search.ts';

const TONES = { high: 'bad', medium: 'warn', low: 'calm' } as const;
/** Sensors that are named in a row. */
const SENSORS_SHOWN = 3;

/** Threats, page by page. */
export function ThreatsTable({ filter }: { filter: MaltrailSearch }) {
  const query = useInfiniteQuery(threats(filter));
  const navigate = useNavigate();
  if (query.data === undefined)
    return query.isError ? <ProblemAlert error={query.error} again={() => query.refetch()} /> : <SkeletonRows />;
  const found = query.data.pages.flatMap(({ items }) => items);
  if (found.length === 0 && !query.hasNextPage) {
    const { sort: _, ...wanted } = filter;
    return Object.keys(wanted).length === 0 ? (
      <Empty icon={<IconSpider size={30} stroke={1.4} />} title="No threats yet">
        Events that Maltrail sensors send, with the meta type <code>maltrail</code>, are gathered here by source and
        trail. On the server, <code>d4 maltrail setup</code> accepts them and sends them on to a Maltrail server.
      </Empty>
    ) : (
      <NothingFits
        icon={<IconSpider size={30} stroke={1.4} />}
        title="No threat is like that"
        showAll={() =>
          void navigate({ to: '/maltrail', search: filter.sort === undefined ? {} : { sort: filter.sort } })
        }
      />
    );
  }
  return (
    <>
      <Table>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Severity</Table.Th>
            <Table.Th className="from-600">Source</Table.Th>
            <Table.Th className="from-900">Type</Table.Th>
            <Table.Th>Trail</Table.Th>
            <Table.Th className="from-600">Info</Table.Th>
            <Table.Th className="from-900">Sensors</Table.Th>
            <Table.Th className="end">Events</Table.Th>
            <Table.Th className="from-900">First</Table.Th>
            <Table.Th className="from-600">Last</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {found.map((threat) => (
            <Row key={`${threat.source} ${threat.trail}`} threat={threat} />
          ))}
        </Table.Tbody>
      </Table>
      {query.hasNextPage && (
        <div style={{ padding: 12, textAlign: 'center' }}>
          <Button variant="default" loading={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
            More threats
          </Button>
        </div>
      )}
    </>
  );
}

function Row({ threat }: { threat: Schemas['MaltrailThreat'] }) {
  const { severity, source, type, trail, info, reference, sensors, events, first, last } = threat;
  const from = (
    <Link to="/maltrail" search={(before: MaltrailSearch) => ({ ...before, source })} className="plain">
      {source}
    </Link>
  );
  return (
    <Table.Tr>
      <Table.Td>
        <Tone tone={TONES[severity]} shape={severity === 'high' ? 'square' : undefined}>
          {severity}
        </Tone>
      </Table.Td>
      <Table.Td className="from-600 mono">{from}</Table.Td>
      <Table.Td className="from-900 mono">{type}</Table.Td>
      <Table.Td style={{ overflowWrap: 'anywhere', minWidth: 120 }}>
        <Link to="/maltrail" search={(before: MaltrailSearch) => ({ ...before, trail })} className="plain mono">
          {trail}
        </Link>
        <div className="to-600">
          <span className="mono">{from}</span>, <Time at={last} ago />
        </div>
      </Table.Td>
      <Table.Td className="from-600" title={reference} style={{ overflowWrap: 'anywhere', minWidth: 120 }}>
        {info}
      </Table.Td>
      <Table.Td className="from-900 nowrap">
        {sensors.slice(0, SENSORS_SHOWN).map(({ sensor, name }) => (
          <Link
            key={sensor}
            to="/sensors/$uuid"
            params={{ uuid: sensor }}
            style={{ display: 'block' }}
            className="plain"
          >
            {name}
          </Link>
        ))}
        {sensors.length > SENSORS_SHOWN && <span className="dimmed">{sensors.length - SENSORS_SHOWN} more</span>}
      </Table.Td>
      <Table.Td className="end numbers">{formatCount(events)}</Table.Td>
      <Table.Td className="from-900">
        <Time at={first} />
      </Table.Td>
      <Table.Td className="from-600">
        <Time at={last} ago />
      </Table.Td>
    </Table.Tr>
  );
}
