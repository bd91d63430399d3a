import { ActionIcon, Button, Table } from '@mantine/core';
import { IconArchive, IconDownload } from '@tabler/icons-react';
import { useInfiniteQuery } from '@tanstack/react-query';
import { Link, useNavigate } from '@tanstack/react-router';
import type { Schemas } from '../../api/client.ts';
import { archivedFiles } from '../../api/queries.ts';
import { Bytes } from '../../parts/bytes.tsx';
import { CopyButton } from '../../parts/copy-button.tsx';
import { ProblemAlert, SkeletonRows } from '../../parts/loaded.tsx';
import { NothingFits } from '../../parts/nothing-fits.tsx';
import { Empty } from '../../parts/page.tsx';
import { Time } from '../../parts/time.tsx';
import { Uuid } from '../../parts/uuid.tsx';
import { useMay } from '../../session/session.tsx';
import classes from './archive.module.css';
import type { ArchiveSearch } from './search.ts';

/** Rows of a brief table. */
const BRIEF_ROWS = 8;

/** Finished files, the newest first. @param brief only the first few, without the sensor */
export function FilesTable({ filter, brief = false }: { filter: ArchiveSearch; brief?: boolean }) {
  const query = useInfiniteQuery(archivedFiles(filter));
  const may = useMay('user');
  const navigate = useNavigate();
  if (query.data === undefined)
    return query.isError ? <ProblemAlert error={query.error} again={() => query.refetch()} /> : <SkeletonRows />;
  const all = query.data.pages.flatMap(({ items }) => items);
  const files = brief ? all.slice(0, BRIEF_ROWS) : all;
  if (files.length === 0 && !query.hasNextPage) {
    return brief || Object.keys(filter).length === 0 ? (
      <Empty icon={<IconArchive size={30} stroke={1.4} />} title="No files yet">
        A file is finished when its period is over, or within seconds after a connection ends.
      </Empty>
    ) : (
      <NothingFits
        icon={<IconArchive size={30} stroke={1.4} />}
        title="No file is like that"
        showAll={() => void navigate({ to: '/archive', search: {} })}
      />
    );
  }
  return (
    <>
      <Table>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>File</Table.Th>
            {!brief && <Table.Th className="from-600">Sensor</Table.Th>}
            <Table.Th className="from-900">Type</Table.Th>
            <Table.Th className="from-900">From</Table.Th>
            <Table.Th className="end">Size</Table.Th>
            <Table.Th className="from-900">State</Table.Th>
            <Table.Th w={50}>
              <span className="only-read">Actions</span>
            </Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {files.map((file) => (
            <Table.Tr key={file.id}>
              <Table.Td title={`${file.path}\nSHA-256 ${file.sha256}`}>
                <span className={classes.name}>
                  <span className="mono">{file.path.split('/').at(-1)}</span>
                  <CopyButton value={file.path} what="path" />
                </span>
                <div className="to-900">
                  <Time at={file.firstTime} />
                </div>
                {!brief && (
                  <div className="to-600">
                    <SensorLink file={file} />
                  </div>
                )}
              </Table.Td>
              {!brief && (
                <Table.Td className="from-600">
                  <SensorLink file={file} />
                  {file.sensorName !== '' && (
                    <div className="dimmed">
                      <Uuid value={file.sensor} />
                    </div>
                  )}
                </Table.Td>
              )}
              <Table.Td className="from-900 mono">{file.topic}</Table.Td>
              <Table.Td className="from-900">
                <Time at={file.firstTime} />
              </Table.Td>
              <Table.Td className="end">
                <Bytes value={file.bytes} />
              </Table.Td>
              <Table.Td className="from-900">
                {file.state === 'there' ? <span className="dimmed">there</span> : file.state}
              </Table.Td>
              <Table.Td className="end">
                {may && file.state === 'there' && (
                  <ActionIcon
                    component="a"
                    variant="subtle"
                    color="gray"
                    href={`/api/v1/archive/files/${encodeURIComponent(file.id)}/content`}
                    download
                    aria-label={`Download ${file.path.split('/').at(-1)}`}
                    title="Download, decompressed"
                  >
                    <IconDownload size={16} />
                  </ActionIcon>
                )}
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
      {!brief && query.hasNextPage && (
        <div style={{ padding: 12, textAlign: 'center' }}>
          <Button variant="default" loading={query.isFetchingNextPage} onClick={() => void query.fetchNextPage()}>
            Older files
          </Button>
        </div>
      )}
    </>
  );
}

/** Its name, else its uuid. */
function SensorLink({ file: { sensor, sensorName } }: { file: Schemas['ArchivedFile'] }) {
  return (
    <Link to="/sensors/$uuid" params={{ uuid: sensor }} className="plain" title={sensor}>
      {sensorName || <Uuid value={sensor} />}
    </Link>
  );
}
