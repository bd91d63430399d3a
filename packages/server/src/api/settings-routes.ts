import { D4Error } from '@d4ts/protocol';
import type { FastifyRequest } from 'fastify';
import type { CertificateFacts } from '../server-facts.ts';
import type { ApiContext } from './api-context.ts';
import { actorOf } from './authentication.ts';
import type { ApiApp } from './route-types.ts';
import { CertificateReplacement, CertificateView, SettingList } from './settings-schemas.ts';

/** `/api/v1/settings` and `/api/v1/certificate`: how the server is set up, and what it proves itself with. */
export function settingsRoutes(app: ApiApp, { server, certificate, registry, log }: ApiContext): void {
  const tags = ['server'];

  app.get(
    '/settings',
    {
      config: { access: 'user' },
      schema: {
        tags,
        operationId: 'listSettings',
        summary: 'The settings that hold, and where each came from; secrets are masked',
        response: { 200: SettingList },
      },
    },
    (_request, reply) => {
      const items = server.settings().map(({ value, ...setting }) => ({ ...setting, value: value ?? null }));
      reply.send({ items });
    },
  );

  app.get(
    '/certificate',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        operationId: 'getCertificate',
        summary: "The certificate of the server's TLS ports, and what sensors pin",
        response: { 200: CertificateView },
      },
    },
    (_request, reply) => {
      reply.send(viewOf(certificate.facts()));
    },
  );

  app.put(
    '/certificate',
    {
      config: { access: 'admin' },
      schema: {
        tags,
        operationId: 'replaceCertificate',
        summary: 'Puts another certificate in its place, at once; connections that are open stay',
        body: CertificateReplacement,
        response: { 200: CertificateView },
      },
    },
    async (request) => {
      const { pem, allowOtherAuthority = false } = request.body;
      return record(request, () => certificate.replace(pem, allowOtherAuthority));
    },
  );

  app.post(
    '/certificate/renew',
    {
      config: { access: 'admin' },
      schema: {
        tags,
        operationId: 'renewCertificate',
        summary: "Issues another certificate by the server's own CA, with the names that the host has now",
        response: { 200: CertificateView },
      },
    },
    (request) => record(request, () => certificate.renew()),
  );

  /** @throws {D4Error} D4_BAD_CERTIFICATE, D4_OTHER_AUTHORITY */
  async function record(
    request: FastifyRequest,
    change: () => CertificateFacts | Promise<CertificateFacts>,
  ): Promise<CertificateView> {
    const actor = actorOf(request);
    const before = certificate.facts();
    try {
      const after = await change();
      const details = { before: before.sha256, after: after.sha256, notAfter: after.notAfter };
      await registry.audit.record({ kind: 'certificate-replaced', key: after.subject, actor, details });
      log.info({ ...details, by: actor.name }, "the server's certificate was replaced");
      return viewOf(after);
    } catch (error) {
      if (!(error instanceof D4Error) || error.code !== 'D4_IDENTITY') throw error;
      throw new D4Error('D4_BAD_CERTIFICATE', error.message, error);
    }
  }
}

function viewOf({ names, authority, ...facts }: CertificateFacts): CertificateView {
  return { ...facts, names: [...names], authority: { ...authority } };
}
