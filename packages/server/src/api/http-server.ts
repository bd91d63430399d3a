import type { ServerResponse } from 'node:http';
import type { Server } from 'node:https';
import type { Socket } from 'node:net';
import Fastify, { type FastifyError, type FastifyReply, type FastifyRequest } from 'fastify';
import type { ApiContext } from './api-context.ts';
import { API_ERRORS, type ApiErrorCode, failureOf } from './api-errors.ts';
import { archiveRoutes } from './archive-routes.ts';
import { Authentication, TooManyAttempts } from './authentication.ts';
import { blockRoutes } from './block-routes.ts';
import { dropInRoutes, REFERENCE_REASONS } from './drop-in-routes.ts';
import { healthRoutes } from './health-routes.ts';
import { collectForOpenApi, describeAccess, openApiRoute } from './openapi.ts';
import { queueRoutes } from './queue-routes.ts';
import { compileValidator } from './request-validation.ts';
import type { ApiApp } from './route-types.ts';
import type { ErrorBody } from './schemas.ts';
import { sensorRoutes } from './sensor-routes.ts';
import { statusRoutes } from './status-routes.ts';
import { typeRoutes } from './type-routes.ts';
import { RouteTable } from './unknown-routes.ts';

const MAX_BODY_BYTES = 1024 * 1024;
const MAX_CONNECTIONS = 2_000;
const HANDSHAKE_TIMEOUT_MS = 10_000;
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 30_000;
const KEEP_ALIVE_TIMEOUT_MS = 72_000;
/** A connection on which nothing moves for so long is closed: one that does not read its answer, for example. */
const STALL_TIMEOUT_MS = 120_000;
/** At the end, requests that are under way have so long to finish. */
const CLOSE_GRACE_MS = 2_000;

/** Nothing here is a page yet: no script, no frame, nothing from elsewhere, nothing kept. */
const SECURITY_HEADERS = {
  'content-security-policy': "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'cache-control': 'no-store',
};

/** A private key and its certificate chain, PEM. */
export interface TlsIdentity {
  readonly key: string;
  readonly cert: string;
}

/** What the interface is started with. */
export interface ApiOptions extends Omit<ApiContext, 'now'> {
  readonly listen: { readonly host: string; readonly port: number };
  readonly identity: TlsIdentity;
  /** Wall clock, ms since 1970; the system's if not given. */
  readonly now?: () => number;
  /** ms without a byte in either direction after which a connection is closed; only tests give another than 120,000. */
  readonly stallTimeoutMs?: number;
}

/** A running HTTP interface. */
export interface Api {
  /** The address that it really has. */
  readonly address: { readonly host: string; readonly port: number };
  /** Swaps the certificate live; connections that are open keep the old one. */
  setIdentity(identity: TlsIdentity): void;
  /** Answers 503 to `/healthz`, stops accepting, finishes the requests that are under way (2 s), closes. */
  close(): Promise<void>;
}

/**
 * Starts the HTTP interface: HTTPS (TLS 1.2 and later) with the server's identity.
 * @throws the system's error where the address cannot be listened on
 */
export async function startApi({
  listen,
  identity,
  now = Date.now,
  stallTimeoutMs = STALL_TIMEOUT_MS,
  ...parts
}: ApiOptions): Promise<Api> {
  const context: ApiContext = { ...parts, now };
  let closing = false;
  let requests = 0;
  const app = newApp(identity, stallTimeoutMs);
  const sockets = boundConnections(app.server);
  app.server.on('request', (_request, response: ServerResponse) => {
    requests++;
    response.once('close', () => requests--);
  });
  await addRoutes(app, context, () => closing);
  try {
    await app.listen(listen);
  } catch (error) {
    await app.close();
    throw error;
  }

  return {
    address: addressOf(app.server),
    setIdentity: (next) => app.server.setSecureContext({ ...next, minVersion: 'TLSv1.2' }),
    async close() {
      closing = true;
      const endAll = () => {
        for (const socket of sockets) socket.destroy();
      };
      if (requests === 0) endAll();
      const deadline = setTimeout(endAll, CLOSE_GRACE_MS);
      await app.close();
      clearTimeout(deadline);
    },
  };
}

function newApp(identity: TlsIdentity, stallTimeoutMs: number): ApiApp {
  return Fastify({
    https: {
      ...identity,
      minVersion: 'TLSv1.2',
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      headersTimeout: HEADERS_TIMEOUT_MS,
      connectionsCheckingInterval: 5_000,
    },
    connectionTimeout: stallTimeoutMs,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    bodyLimit: MAX_BODY_BYTES,
    routerOptions: { maxParamLength: 200 },
    return503OnClosing: false,
    clientErrorHandler: refuseMalformed,
    frameworkErrors: (error, _request, reply) => {
      sendFailure(error, undefined, reply);
    },
  });
}

async function addRoutes(app: ApiApp, context: ApiContext, isClosing: () => boolean): Promise<void> {
  const routes = new RouteTable();
  const authentication = new Authentication(context.registry, context.server, context.now);

  app.setValidatorCompiler(compileValidator);
  app.removeContentTypeParser('text/plain');
  app.decorateRequest('principal', null);
  app.addHook('onRoute', (route) => {
    describeAccess(route);
    routes.add(route);
  });
  app.addHook('onRequest', async (request, reply) => {
    reply.headers(SECURITY_HEADERS);
    if (isClosing()) reply.header('connection', 'close');
    const { access = 'public' } = request.routeOptions.config;
    if (access !== 'public') request.principal = authentication.authenticate(request, access);
  });
  app.setErrorHandler((error, request, reply) => sendFailure(error, context, reply, request));
  app.setNotFoundHandler((request, reply) => routes.refuse(request, reply));

  await collectForOpenApi(app, context.server.version);
  healthRoutes(app, context, isClosing);
  await app.register(
    async (api: ApiApp) => {
      dropInRoutes(api, context);
      statusRoutes(api, context);
      sensorRoutes(api, context);
      typeRoutes(api, context);
      queueRoutes(api, context);
      blockRoutes(api, context);
      archiveRoutes(api, context);
      openApiRoute(api);
    },
    { prefix: '/api/v1' },
  );
}

function sendFailure(
  error: unknown,
  context: ApiContext | undefined,
  reply: FastifyReply,
  request?: FastifyRequest,
): void {
  const { code, status, message, internal } = failureOf(error);
  if (internal) context?.log.error({ err: error, method: request?.method, url: request?.url }, 'a request failed');
  if (status === 401) reply.header('www-authenticate', 'Bearer');
  if (error instanceof TooManyAttempts) reply.header('retry-after', error.retryAfterSeconds);
  const asReference = request?.routeOptions.config?.errors === 'reference';
  reply
    .code(status)
    .type('application/json; charset=utf-8')
    .send(asReference ? { status: 'error', reason: REFERENCE_REASONS[code] ?? message } : errorBody(code, message));
}

function errorBody(code: ApiErrorCode, message: string): ErrorBody {
  return { error: { code, message } };
}

/** Answers what is not HTTP, or came too slowly, in the shape of all errors. */
function refuseMalformed(error: FastifyError & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const code: ApiErrorCode =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? 'D4_HEADERS_TOO_LARGE'
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? 'D4_REQUEST_TIMEOUT'
        : 'D4_BAD_REQUEST';
  const { status, meaning } = API_ERRORS[code];
  const body = JSON.stringify(errorBody(code, meaning));
  socket.end(
    `HTTP/1.1 ${status} Error\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}

/** Bounds the connections, and knows them, those in mid-handshake too, so that none outlives the end. */
function boundConnections(server: Server): ReadonlySet<Socket> {
  const sockets = new Set<Socket>();
  server.maxConnections = MAX_CONNECTIONS;
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  return sockets;
}

function addressOf(server: Server): { host: string; port: number } {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the HTTP interface has no address');
  return { host: address.address, port: address.port };
}
