import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import fastifyStatic from '@fastify/static';
import type { FastifyReply, FastifyRequest } from 'fastify';
import Type from 'typebox';
import type { ApiApp } from './route-types.ts';

/** What stands in the built index.html where the nonce belongs (packages/web/vite.config.ts). */
const NONCE_PLACE = 'D4_NONCE';

/** Addresses below these are never a page. */
const NOT_PAGES = /^\/(?:api|assets|metrics|healthz)(?:[/?]|$)/;

const NOT_BUILT = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>D4 server</title></head>
<body>
<h1>D4 server</h1>
<p>The server runs, but its pages have not been built. In the folder of the program, run <code>npm start</code>, or
<code>npm run -w @d4ts/web build</code>, and start it again.</p>
<p>The HTTP interface is at <code>/api/v1</code>, described by <a href="/api/v1/openapi.json">/api/v1/openapi.json</a>;
<a href="/healthz">/healthz</a> says whether the server is ready.</p>
</body>
</html>
`;

/** The pages of the server, and what goes with them. */
export interface Pages {
  /** Whether a browser asks for a page here, whose address only the pages know. */
  isPage(request: FastifyRequest): boolean;
  /** Answers with the document that all pages start from. */
  send(reply: FastifyReply): Promise<void>;
}

/**
 * `/` and `/assets/…`: the bundle of packages/web, or, where it has not been built, a page that says so. Each answer
 * with the document has a nonce of its own, for the style elements that its components make; scripts come from files of
 * ours alone.
 * @param folder what Vite has built. The document is read anew for each answer: it names the files of the latest build
 */
export async function pageRoutes(app: ApiApp, folder: string): Promise<Pages> {
  const file = join(folder, 'index.html');
  const isBuilt = existsSync(file);

  if (isBuilt) {
    await app.register(fastifyStatic, { root: folder, serve: false, preCompressed: true, index: false });
    app.get(
      '/assets/*',
      { config: { access: 'public' }, schema: { hide: true, response: { 200: Type.Unsafe<unknown>({}) } } },
      (request, reply) =>
        reply.sendFile(request.url.slice(1).replace(/\?.*$/s, ''), { maxAge: '365d', immutable: true }),
    );
  }

  const pages: Pages = {
    isPage: ({ method, url, headers }) =>
      isBuilt &&
      (method === 'GET' || method === 'HEAD') &&
      !NOT_PAGES.test(url) &&
      headers.accept?.includes('text/html') === true,
    async send(reply) {
      const nonce = randomBytes(18).toString('base64');
      const document = isBuilt ? (await readFile(file, 'utf8')).replaceAll(NONCE_PLACE, nonce) : NOT_BUILT;
      await reply
        .code(200)
        .header('content-security-policy', pagePolicy(nonce))
        .type('text/html; charset=utf-8')
        .send(document);
    },
  };
  app.get(
    '/',
    { config: { access: 'public' }, schema: { hide: true, response: { 200: Type.String() } } },
    (_request, reply) => pages.send(reply),
  );
  return pages;
}

/** Everything from our own origin, no inline script; style elements only with the nonce. */
function pagePolicy(nonce: string): string {
  return [
    "default-src 'none'",
    "script-src 'self'",
    `style-src 'self' 'nonce-${nonce}'`,
    "img-src 'self'",
    "font-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
}
