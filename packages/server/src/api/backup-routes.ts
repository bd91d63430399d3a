import type { Readable } from 'node:stream';
import { D4Error } from '@d4ts/protocol';
import Type from 'typebox';
import { BACKUP_DATA } from '../server-facts.ts';
import type { ApiContext } from './api-context.ts';
import { actorOf } from './authentication.ts';
import type { ApiApp } from './route-types.ts';

const BackupWanted = Type.Object(
  {
    data: Type.Optional(
      Type.Enum([...BACKUP_DATA], {
        description:
          'What of the data is in it, beside registry, keys, certificates and configuration; none if not given',
      }),
    ),
  },
  { additionalProperties: false },
);

/** `/api/v1/backup`: all that makes another server this one. */
export function backupRoutes(app: ApiApp, { backup, registry, log, now }: ApiContext): void {
  let current: Readable | undefined;

  app.post(
    '/backup',
    {
      config: { access: 'admin' },
      schema: {
        tags: ['server'],
        operationId: 'makeBackup',
        summary: 'A backup of the running server, for d4 restore. It holds the private keys: keep it as a secret',
        body: BackupWanted,
        response: { 200: Type.Unsafe<Readable>({ type: 'string', format: 'binary' }) },
      },
    },
    async (request, reply) => {
      const { data = 'none' } = request.body;
      const actor = actorOf(request);
      if (current !== undefined)
        throw new D4Error('D4_CONFLICT', 'a backup is being made already: wait until it is done');
      const stream = backup(data);
      current = stream;
      stream.once('close', () => {
        current = undefined;
      });
      stream.on('error', (err) => log.error({ err }, 'a backup was not completed'));
      request.principal?.signal.addEventListener('abort', () => stream.destroy(), { once: true });
      await registry.audit.record({ kind: 'backup-made', key: data, actor });
      log.info({ data, by: actor.name }, 'a backup is made');
      const name = `d4-${new Date(now()).toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}.tar.gz`;
      return reply
        .headers({ 'content-type': 'application/gzip', 'content-disposition': `attachment; filename="${name}"` })
        .send(stream);
    },
  );
}
