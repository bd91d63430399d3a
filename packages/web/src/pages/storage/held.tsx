import { Table } from '@mantine/core';
import type { Schemas } from '../../api/client.ts';
import { Bytes } from '../../parts/bytes.tsx';
import { formatCount, formatShort } from '../../parts/format.ts';
import { Empty, Panel } from '../../parts/page.tsx';
import { Time } from '../../parts/time.tsx';

/** Wire types by number, meta types by name, then the journal's own lists of files. */
function byTopic(a: { readonly topic: string }, b: { readonly topic: string }): number {
  return Number(isList(a.topic)) - Number(isList(b.topic)) || a.topic.localeCompare(b.topic, 'en', { numeric: true });
}

/** Whether it is no type, but says where the finished files of one lie. */
function isList(topic: string): boolean {
  return topic.startsWith('files/');
}

/** The finished files of each type. */
export function HeldArchive({ files }: { files: Schemas['Retention']['archive'] }) {
  return (
    <Panel flush title="In the archive">
      {files.length === 0 ? (
        <Empty title="No finished file yet">What sensors send is written into files, and stands here by type.</Empty>
      ) : (
        <Table>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Type</Table.Th>
              <Table.Th className="end">Files</Table.Th>
              <Table.Th className="end">Bytes</Table.Th>
              <Table.Th className="from-600 end">A day</Table.Th>
              <Table.Th className="from-900 end">On hold</Table.Th>
              <Table.Th className="from-900 end">Priority</Table.Th>
              <Table.Th className="from-600 end">Removed</Table.Th>
              <Table.Th className="end" title="About when the last bytes of the oldest file came: none ends before">
                Oldest ends
              </Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {files.toSorted(byTopic).map((held) => (
              <Table.Tr key={held.topic}>
                <Table.Td className="mono">{held.topic}</Table.Td>
                <Table.Td className="end">{formatCount(held.files)}</Table.Td>
                <Table.Td className="end">
                  <Bytes value={held.bytes} />
                </Table.Td>
                <Table.Td className="from-600 end">
                  {held.bytesPerDay === null ? '–' : <Bytes value={held.bytesPerDay} />}
                </Table.Td>
                <Table.Td className="from-900 end">
                  <Bytes value={held.heldBytes} />
                </Table.Td>
                <Table.Td className="from-900 end">{held.priority}</Table.Td>
                <Table.Td className="from-600 end" title={`${formatCount(held.removedFiles)} files`}>
                  <Bytes value={held.removedBytes} />
                </Table.Td>
                <Table.Td className="end">
                  <Time at={held.oldest} ago never="–" />
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      )}
    </Panel>
  );
}

const WAITS: Readonly<Record<string, string>> = {
  archive: 'the archive',
  window: 'the rewind window',
  open: 'it is still being written',
};

/** The journal of each type, and what keeps it. */
export function HeldJournal({ topics }: { topics: Schemas['Retention']['journal'] }) {
  return (
    <Panel flush title="In the journal">
      {topics.length === 0 ? (
        <Empty title="Nothing yet">
          All that comes is in the journal first, for queues, exporters and the archive.
        </Empty>
      ) : (
        <Table>
          <Table.Thead>
            <Table.Tr>
              <Table.Th>Type</Table.Th>
              <Table.Th className="end">Bytes</Table.Th>
              <Table.Th className="end">Items</Table.Th>
              <Table.Th className="from-900 end">Segments</Table.Th>
              <Table.Th className="from-600">The oldest segment is kept for</Table.Th>
              <Table.Th
                className="from-600 end"
                title="When the last record of the oldest segment came; a segment goes as a whole"
              >
                Oldest ends
              </Table.Th>
            </Table.Tr>
          </Table.Thead>
          <Table.Tbody>
            {topics.toSorted(byTopic).map(({ topic, bytes, records, segments, waitsFor, oldest }) => (
              <Table.Tr key={topic}>
                <Table.Td>
                  <span className="mono">{topic}</span>
                  {isList(topic) && <div className="dimmed">announcements of finished files</div>}
                </Table.Td>
                <Table.Td className="end">
                  <Bytes value={bytes} />
                </Table.Td>
                <Table.Td className="end" title={formatCount(records)}>
                  {formatShort(records)}
                </Table.Td>
                <Table.Td className="from-900 end">{formatCount(segments)}</Table.Td>
                <Table.Td className="from-600" style={{ overflowWrap: 'anywhere' }}>
                  {waitsFor === null ? '–' : (WAITS[waitsFor] ?? waitsFor)}
                </Table.Td>
                <Table.Td className="from-600 end">
                  <Time at={oldest} ago never="–" />
                </Table.Td>
              </Table.Tr>
            ))}
          </Table.Tbody>
        </Table>
      )}
      {topics.some(({ topic }) => isList(topic)) && (
        <p className="dimmed" style={{ margin: 0, padding: '10px 16px', fontSize: 13 }}>
          A row <code>files/…</code> holds no data of sensors: for each finished file of that type it has an
          announcement that says where it lies. Queues of paths and this server's list of files are read from it.
        </p>
      )}
    </Panel>
  );
}
