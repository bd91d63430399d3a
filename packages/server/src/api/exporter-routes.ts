import { parseSensorId } from '@d4ts/protocol';
import Type from 'typebox';
import type { ExporterInfo } from '../export/supervised-exporter.ts';
import type { ApiContext } from './api-context.ts';
import { notFound } from './api-errors.ts';
import { actorOf } from './authentication.ts';
import { ExporterChangeBody, ExporterDraft, ExporterParam, ExporterView, RevisionQuery } from './exporter-schemas.ts';
import { pageOf } from './pages.ts';
import type { ApiApp } from './route-types.ts';
import { PageQuery, page } from './schema-parts.ts';
import { typeName } from './type-name.ts';

/**
 * `/api/v1/exporters`: where records are sent on. Making and changing one is for administrators: it decides where data
 * goes, and which files of the server are written.
 */
export function exporterRoutes(app: ApiApp, { exporters, log }: ApiContext): void {
  const tags = ['exporters'];

  app.get(
    '/exporters',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        operationId: 'listExporters',
        summary: 'All exporters, by name',
        querystring: PageQuery,
        response: { 200: page('ExporterPage', ExporterView) },
      },
    },
    ({ query }, reply) => {
      reply.send(pageOf(exporters.list(), ({ name }) => name, exporterView, query));
    },
  );

  app.post(
    '/exporters',
    {
      config: { access: 'admin' },
      schema: {
        tags,
        operationId: 'addExporter',
        summary: 'Makes an exporter, and starts it',
        body: ExporterDraft,
        response: { 201: ExporterView },
      },
    },
    async (request, reply) => {
      const { type, sensors, ...rest } = request.body;
      const actor = actorOf(request);
      const draft = { ...rest, type: typeName(type), ...(sensors && { sensors: sensors.map(parseSensorId) }) };
      const made = await exporters.add(draft, actor);
      log.info({ exporter: made.name, topic: made.topic, by: actor.name }, 'exporter made');
      return reply.code(201).send(exporterView(made));
    },
  );

  app.get(
    '/exporters/:name',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        operationId: 'getExporter',
        summary: 'An exporter',
        params: ExporterParam,
        response: { 200: ExporterView },
      },
    },
    ({ params }, reply) => {
      const found = exporters.get(params.name);
      if (found === undefined) throw noExporter(params.name);
      reply.send(exporterView(found));
    },
  );

  app.patch(
    '/exporters/:name',
    {
      config: { access: 'admin' },
      schema: {
        tags,
        operationId: 'changeExporter',
        summary: 'Changes an exporter; what is not delivered goes where the change says',
        params: ExporterParam,
        body: ExporterChangeBody,
        response: { 200: ExporterView },
      },
    },
    async (request) => {
      const { name } = request.params;
      const { revision, sensors, ...rest } = request.body;
      const group = sensors === undefined ? undefined : (sensors?.map(parseSensorId) ?? null);
      const actor = actorOf(request);
      const change = { ...rest, ...(group !== undefined && { sensors: group }) };
      const changed = await exporters.change(name, change, actor, revision);
      if (changed === undefined) throw noExporter(name);
      log.info({ exporter: name, by: actor.name }, 'exporter changed');
      return exporterView(changed);
    },
  );

  for (const [what, paused, summary] of [
    ['pause', true, 'Stops an exporter; the journal keeps what it has not delivered, within its bounds'],
    ['resume', false, 'Lets an exporter go on where it stopped'],
  ] as const) {
    app.post(
      `/exporters/:name/${what}`,
      {
        config: { access: 'user' },
        schema: {
          tags,
          operationId: `${what}Exporter`,
          summary,
          params: ExporterParam,
          querystring: RevisionQuery,
          response: { 200: ExporterView },
        },
      },
      async (request) => {
        const { name } = request.params;
        const actor = actorOf(request);
        const changed = await exporters.pause(name, paused, actor, request.query.revision);
        if (changed === undefined) throw noExporter(name);
        log.info({ exporter: name, paused, by: actor.name }, 'exporter paused or resumed');
        return exporterView(changed);
      },
    );
  }

  app.delete(
    '/exporters/:name',
    {
      config: { access: 'admin' },
      schema: {
        tags,
        operationId: 'removeExporter',
        summary: 'Removes an exporter, and its place in the journal',
        params: ExporterParam,
        querystring: RevisionQuery,
        response: { 204: Type.Null({ description: 'Removed' }) },
      },
    },
    async (request, reply) => {
      const { name } = request.params;
      const actor = actorOf(request);
      if (!(await exporters.remove(name, actor, request.query.revision))) throw noExporter(name);
      log.info({ exporter: name, by: actor.name }, 'exporter removed');
      return reply.code(204).send(null);
    },
  );
}

/** An exporter as the interface shows it. */
function exporterView({ sensors, headers, problem, lastError, ...info }: ExporterInfo): ExporterView {
  return {
    ...info,
    sensors: sensors === 'all' ? null : [...sensors],
    headers: [...headers],
    problem: problem ?? null,
    lastError: lastError ?? null,
  };
}

function noExporter(name: string): Error {
  return notFound(`no exporter "${name}"`);
}
