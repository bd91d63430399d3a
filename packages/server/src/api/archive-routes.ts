import type { Readable } from 'node:stream';
import { D4Error, parseSensorId } from '@d4ts/protocol';
import Type from 'typebox';
import { contentStream, type FileState, fileState, openAnnounced } from '../archive/file-content.ts';
import type { FileFilter, ListedFile } from '../archive/listing.ts';
import type { ArchiveRemoval } from '../registry/port.ts';
import type { RemovalReason } from '../retention/port.ts';
import type { ApiContext } from './api-context.ts';
import { notFound } from './api-errors.ts';
import { actorOf } from './authentication.ts';
import { sensorTitle } from './display-names.ts';
import { downloadHeaders } from './download-headers.ts';
import type { ApiApp } from './route-types.ts';
import {
  ArchivedFilePage,
  ArchivedFileQuery,
  ArchivedFileView as ArchivedFileSchema,
  type ArchivedFileView,
  ContentQuery,
  FileParam,
} from './schemas.ts';
import { typeName } from './type-name.ts';

const DEFAULT_LIMIT = 100;

/** What a file's state is in words, where its content cannot be had. */
const GONE: Readonly<Record<Exclude<FileState, 'there'>, string>> = {
  removed: 'somebody has removed it',
  changed: 'something else is in its place',
  outside: "it lies outside of the archive's root, which has changed since",
};

/** `/api/v1/archive`: the finished files. */
export function archiveRoutes(app: ApiApp, { archivedFiles, registry, log }: ApiContext): void {
  const tags = ['archive'];

  app.get(
    '/archive/files',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        operationId: 'listArchivedFiles',
        summary: 'Finished files, those finished last first',
        querystring: ArchivedFileQuery,
        response: { 200: ArchivedFilePage },
      },
    },
    async ({ query }) => {
      const { limit = DEFAULT_LIMIT, after } = query;
      const { files, next } = await archivedFiles.list(filterFrom(query), limit, after);
      const items: ArchivedFileView[] = [];
      // One after the other: the archiver needs the disk more.
      for (const file of files) items.push(await viewOf(file));
      return { items, next: next ?? null };
    },
  );

  app.get(
    '/archive/files/:id',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        operationId: 'getArchivedFile',
        summary: 'A finished file',
        params: FileParam,
        response: { 200: ArchivedFileSchema },
      },
    },
    async ({ params }) => viewOf(await fileAt(params.id)),
  );

  app.get(
    '/archive/files/:id/content',
    {
      config: { access: 'user' },
      schema: {
        tags,
        operationId: 'getArchivedFileContent',
        summary: 'What is in a finished file, decompressed unless it is wanted as it is stored',
        params: FileParam,
        querystring: ContentQuery,
        response: { 200: Type.Unsafe<Readable>({ type: 'string', format: 'binary' }) },
      },
    },
    async (request, reply) => {
      const { params, query } = request;
      const file = await fileAt(params.id);
      const removal = removalOf(file);
      const handle = removal === undefined ? await openAnnounced(archivedFiles.root, file) : 'removed';
      if (typeof handle === 'string') {
        throw new D4Error(
          'D4_FILE_GONE',
          `file ${file.id} (${file.path}) is not what was finished: ${removalText(removal) ?? GONE[handle]}`,
        );
      }
      const details = { sensor: file.sensor, path: file.path };
      await registry.audit.record({ kind: 'file-downloaded', key: file.id, actor: actorOf(request), details });
      const form = query.stored === true ? 'stored' : 'decompressed';
      const content = contentStream(handle, file.path, form);
      content.on('error', (err) => log.error({ err, file: file.path }, 'a file of the archive cannot be read'));
      return reply.headers(downloadHeaders(file, form)).send(content);
    },
  );

  async function fileAt(id: string): Promise<ListedFile> {
    const file = await archivedFiles.get(id);
    if (file === undefined) throw notFound(`no finished file ${id}`);
    return file;
  }

  async function viewOf({ from, to, announce, streamBytes: _, ...file }: ListedFile): Promise<ArchivedFileView> {
    const removal = removalOf(file);
    const state = removal === undefined ? await fileState(archivedFiles.root, file) : 'removed';
    const removed = { removedAt: removal?.at ?? null, removedFor: (removal?.why as RemovalReason | undefined) ?? null };
    const sensorName = sensorTitle(registry, file.sensor);
    return { ...file, sensorName, fromByte: from, toByte: to, item: announce, state, ...removed };
  }

  /** How retention has removed a file, if it has. */
  function removalOf({ topic, sensor, id }: Pick<ListedFile, 'topic' | 'sensor' | 'id'>): ArchiveRemoval | undefined {
    return registry.archive.removalOf(topic, sensor, Number(id.slice(id.indexOf(':') + 1)));
  }
}

function removalText(removal: ArchiveRemoval | undefined): string | undefined {
  return removal && `it was removed at ${new Date(removal.at).toISOString()} (${removal.why})`;
}

function filterFrom({ sensor, type, from, to, path }: ArchivedFileQuery): FileFilter {
  return {
    ...(sensor !== undefined && { sensor: parseSensorId(sensor) }),
    ...(type !== undefined && { topic: typeName(type) }),
    ...(from !== undefined && { from }),
    ...(to !== undefined && { to }),
    ...(path !== undefined && { path }),
  };
}
