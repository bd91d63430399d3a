import { Table } from '@mantine/core';
import type { Schemas } from '../../api/client.ts';
import { Bytes } from '../../parts/bytes.tsx';
import { CopyButton } from '../../parts/copy-button.tsx';
import { formatCount } from '../../parts/format.ts';
import { Panel } from '../../parts/page.tsx';
import { Time } from '../../parts/time.tsx';
import { Tone } from '../../parts/tone.tsx';

/** Its acknowledged streams that have not ended, connected or not; nothing where it has none. */
export function Streams({ sensor: { openStreams, sessions } }: { sensor: Schemas['Sensor'] }) {
  if (openStreams.length === 0) return null;
  const live = new Map(
    sessions.flatMap(({ acknowledged }) => (acknowledged ? [[acknowledged.stream, acknowledged]] : [])),
  );
  return (
    <Panel flush title="Acknowledged streams">
      <Table>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Stream</Table.Th>
            <Table.Th className="from-600">Type</Table.Th>
            <Table.Th>State</Table.Th>
            <Table.Th className="end">Acknowledged</Table.Th>
            <Table.Th className="from-600 end" title="Received and not yet acknowledged">
              On its way
            </Table.Th>
            <Table.Th className="from-600 end">Gaps</Table.Th>
            <Table.Th className="from-600 end">Last</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {openStreams.map(({ stream, topic, offset, lastAt, previous }) => {
            const session = live.get(stream);
            return (
              <Table.Tr key={stream}>
                <Table.Td
                  className="mono nowrap"
                  title={previous === null ? stream : `${stream}, goes on for ${previous}`}
                >
                  {stream.slice(0, 8)}
                  <CopyButton value={stream} what="stream" />
                </Table.Td>
                <Table.Td className="from-600 mono">{topic}</Table.Td>
                <Table.Td>
                  {session === undefined ? (
                    <Tone tone="idle" shape="hollow">
                      waits for its client
                    </Tone>
                  ) : (
                    <Tone tone="good">connected</Tone>
                  )}
                  <div className="to-600">
                    <Time at={lastAt} ago />
                  </div>
                </Table.Td>
                <Table.Td className="end">
                  <Bytes value={session?.acknowledgedTo ?? offset} />
                </Table.Td>
                <Table.Td className="from-600 end">
                  <Bytes value={session === undefined ? 0 : session.receivedTo - session.acknowledgedTo} />
                </Table.Td>
                <Table.Td className="from-600 end">
                  {session === undefined || session.gaps === 0 ? (
                    <span className="dimmed">–</span>
                  ) : (
                    <>
                      {formatCount(session.gaps)}, <Bytes value={session.gapBytes} />
                    </>
                  )}
                </Table.Td>
                <Table.Td className="from-600 end">
                  <Time at={lastAt} ago />
                </Table.Td>
              </Table.Tr>
            );
          })}
        </Table.Tbody>
      </Table>
    </Panel>
  );
}
