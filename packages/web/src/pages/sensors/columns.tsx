import type { Schemas } from '../../api/client.ts';
import { Bytes } from '../../parts/bytes.tsx';
import type { Column } from '../../parts/data-table.tsx';
import { PageLink } from '../../parts/page-link.tsx';
import { sensorName } from '../../parts/sensor-name.ts';
import { Sparkline } from '../../parts/sparkline.tsx';
import { StateBadge } from '../../parts/state-badge.tsx';
import { Time } from '../../parts/time.tsx';
import { Uuid } from '../../parts/uuid.tsx';

type Sensor = Schemas['Sensor'];

/** The columns of the list. @param lastHour bytes of each of the last 60 minutes, by uuid; of those that sent any */
export function sensorColumns(
  lastHour: Readonly<Record<string, readonly number[]>> | undefined,
): readonly Column<Sensor>[] {
  return [
    {
      key: 'name',
      title: 'Sensor',
      width: 'minmax(130px, 2.4fr)',
      sortable: true,
      cell: (sensor) => (
        <>
          <PageLink to={`/sensors/${sensor.uuid}`} title={sensor.description || sensor.uuid}>
            {sensorName(sensor)}
          </PageLink>
          {sensor.tags.length > 0 && <span className="dimmed"> {sensor.tags.join(', ')}</span>}
        </>
      ),
    },
    {
      key: 'state',
      title: 'State',
      width: 'minmax(112px, 1fr)',
      sortable: true,
      cell: ({ state, refusedFor }) => <StateBadge state={state} refusedFor={refusedFor} />,
    },
    { key: 'uuid', title: 'Uuid', width: '150px', from: 1050, cell: ({ uuid }) => <Uuid value={uuid} /> },
    {
      key: 'types',
      title: 'Sends',
      width: 'minmax(60px, 0.8fr)',
      from: 720,
      cell: ({ topics }) =>
        topics.length === 0 ? <span className="dimmed">nothing yet</span> : topics.map(({ topic }) => topic).join(', '),
    },
    {
      key: 'lastHour',
      title: 'Last hour',
      width: '96px',
      from: 560,
      cell: ({ uuid }) => {
        const minutes = lastHour?.[uuid];
        return minutes === undefined ? (
          <span className="dimmed">–</span>
        ) : (
          <Sparkline values={minutes} label="Bytes a minute in the last hour" />
        );
      },
    },
    {
      key: 'address',
      title: 'Address',
      width: 'minmax(100px, 1fr)',
      from: 1200,
      cell: ({ lastAddress }) => <span className="mono">{lastAddress}</span>,
    },
    {
      key: 'bytesToday',
      title: 'Today',
      width: '84px',
      end: true,
      sortable: true,
      from: 820,
      cell: ({ bytesToday }) => (bytesToday === 0 ? <span className="dimmed">0 B</span> : <Bytes value={bytesToday} />),
    },
    {
      key: 'lastSeen',
      title: 'Last seen',
      width: '82px',
      end: true,
      sortable: true,
      from: 400,
      cell: ({ lastSeen }) => <Time at={lastSeen} ago />,
    },
  ];
}
