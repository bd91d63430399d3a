import type { ServerResponse } from 'node:http';
import type { Server } from 'node:https';
import type { Socket } from 'node:net';
import Fastify, { type FastifyError, type FastifyReply, type FastifyRequest } from 'fastify';
import { alertRoutes } from './alert-routes.ts';
import type { ApiContext } from './api-context.ts';
import { API_ERRORS, type ApiErrorCode, failureOf, RetryLater } from './api-errors.ts';
import { archiveRoutes } from './archive-routes.ts';
import { auditRoutes } from './audit-routes.ts';
import { Authentication } from './authentication.ts';
import { backupRoutes } from './backup-routes.ts';
import { blockRoutes } from './block-routes.ts';
import { dropInRoutes, REFERENCE_REASONS } from './drop-in-routes.ts';
import { enrolmentRoutes } from './enrolment-routes.ts';
import { eventRoutes } from './event-routes.ts';
import { exporterRoutes } from './exporter-routes.ts';
import { healthRoutes } from './health-routes.ts';
import { ledgerRoutes } from './ledger-routes.ts';
import { maltrailRoutes } from './maltrail-routes.ts';
import { metricsRoutes } from './metrics-routes.ts';
import { monitorRoutes } from './monitor-routes.ts';
import { collectForOpenApi, describeAccess, docsRoutes, openApiRoute } from './openapi.ts';
import { pageRoutes } from './page-routes.ts';
import { lockoutRoutes } from './people/lockout-routes.ts';
import { meRoutes } from './people/me-routes.ts';
import { People } from './people/people.ts';
import { sessionRoutes } from './people/session-routes.ts';
import { tokenRoutes } from './people/token-routes.ts';
import { userRoutes } from './people/user-routes.ts';
import { asPrecondition, preconditions } from './preconditions.ts';
import { queueRecordRoutes } from './queue-record-routes.ts';
import { queueReplayRoutes } from './queue-replay-routes.ts';
import { queueRoutes } from './queue-routes.ts';
import { compileValidator } from './request-validation.ts';
import { retentionRoutes } from './retention-routes.ts';
import type { ApiApp } from './route-types.ts';
import type { ErrorBody } from './schema-parts.ts';
import { sensorBulkRoutes } from './sensor-bulk-routes.ts';
import { sensorKeyRoutes } from './sensor-key-routes.ts';
import { sensorRoutes } from './sensor-routes.ts';
import { settingsRoutes } from './settings-routes.ts';
import { statusRoutes } from './status-routes.ts';
import { typeRoutes } from './type-routes.ts';
import { RouteTable } from './unknown-routes.ts';

const MAX_BODY_BYTES = 1024 * 1024;
const MAX_CONNECTIONS = 2_000;
const HANDSHAKE_TIMEOUT_MS = 10_000;
const TIMEOUTS: RequestTimeouts = { headersMs: 10_000, requestMs: 30_000, checkMs: 5_000 };
const KEEP_ALIVE_TIMEOUT_MS = 72_000;
/** A connection on which nothing moves for so long is closed: one that does not read its answer, for example. */
const STALL_TIMEOUT_MS = 120_000;
/** At the end, requests that are under way have so long to finish. */
const CLOSE_GRACE_MS = 2_000;

/** No script, no frame, nothing from elsewhere, nothing kept; the pages have a policy of their own. */
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
export interface ApiOptions extends Omit<ApiContext, 'now' | 'people'> {
  readonly listen: { readonly host: string; readonly port: number };
  readonly identity: TlsIdentity;
  /** Wall clock, ms since 1970; the system's if not given. */
  readonly now?: () => number;
  /** ms without a byte in either direction after which a connection is closed; only tests give another than 120,000. */
  readonly stallTimeoutMs?: number;
  /** How long a request may take to arrive; only tests give other times. */
  readonly timeouts?: RequestTimeouts;
}

/** In ms. */
interface RequestTimeouts {
  readonly headersMs: number;
  /** With its body. */
  readonly requestMs: number;
  /** How often connections are looked at. */
  readonly checkMs: number;
}

/** A running HTTP interface. */
export interface Api {
  /** The address that it really has. */
  readonly address: { readonly host: string; readonly port: number };
  /** Who is signed in, and who is held back. */
  readonly people: People;
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
  timeouts = TIMEOUTS,
  ...parts
}: ApiOptions): Promise<Api> {
  const { idleMinutes, hours } = parts.server.config.sessions;
  const limits = { idleMs: idleMinutes * 60_000, absoluteMs: hours * 3_600_000 };
  const people = new People(parts.registry, limits, parts.log, now);
  const context: ApiContext = { ...parts, now, people };
  let closing = false;
  let requests = 0;
  const app = newApp(identity, stallTimeoutMs, timeouts);
  const sockets = boundConnections(app.server);
  app.server.on('request', (_request, response: ServerResponse) => {
    requests++;
    response.once('close', () => requests--);
  });
  const authentication = new Authentication(people, parts, now);
  try {
    await addRoutes(app, context, authentication, () => closing);
    await app.listen(listen);
  } catch (error) {
    people.close();
    await app.close();
    throw error;
  }

  return {
    address: addressOf(app.server),
    people,
    setIdentity: (next) => app.server.setSecureContext({ ...next, minVersion: 'TLSv1.2' }),
    async close() {
      closing = true;
      authentication.close();
      people.close();
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

function newApp(
  identity: TlsIdentity,
  stallTimeoutMs: number,
  { headersMs, requestMs, checkMs }: RequestTimeouts,
): ApiApp {
  return Fastify({
    https: {
      ...identity,
      minVersion: 'TLSv1.2',
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      headersTimeout: headersMs,
      connectionsCheckingInterval: checkMs,
    },
    connectionTimeout: stallTimeoutMs,
    requestTimeout: requestMs,
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

async function addRoutes(
  app: ApiApp,
  context: ApiContext,
  authentication: Authentication,
  isClosing: () => boolean,
): Promise<void> {
  const routes = new RouteTable();

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
    request.principal = authentication.admit(request, access);
  });
  app.setErrorHandler((error, request, reply) =>
    sendFailure(asPrecondition(error, context, request), context, reply, request),
  );
  preconditions(app, context);

  await collectForOpenApi(app, context.server.version);
  healthRoutes(app, context, isClosing);
  metricsRoutes(app, context);
  const pages = await pageRoutes(app, context.pagesFolder);
  app.setNotFoundHandler((request, reply) =>
    pages.isPage(request) ? pages.send(reply) : routes.refuse(request, reply),
  );
  await app.register(
    async (api: ApiApp) => {
      dropInRoutes(api, context);
      sessionRoutes(api, context);
      meRoutes(api, context);
      userRoutes(api, context);
      tokenRoutes(api, context);
      lockoutRoutes(api, context);
      auditRoutes(api, context);
      statusRoutes(api, context);
      settingsRoutes(api, context);
      sensorRoutes(api, context);
      sensorKeyRoutes(api, context);
      sensorBulkRoutes(api, context);
      enrolmentRoutes(api, context);
      typeRoutes(api, context);
      queueRoutes(api, context);
      queueRecordRoutes(api, context);
      queueReplayRoutes(api, context);
      exporterRoutes(api, context);
      maltrailRoutes(api, context);
      blockRoutes(api, context);
      archiveRoutes(api, context);
      ledgerRoutes(api, context);
      monitorRoutes(api, context);
      alertRoutes(api, context);
      eventRoutes(api, context);
      retentionRoutes(api, context);
      backupRoutes(api, context);
      openApiRoute(api);
    },
    { prefix: '/api/v1' },
  );
  await app.register(async (docs: ApiApp) => docsRoutes(docs), { prefix: '/api' });
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
  if (error instanceof RetryLater) reply.header('retry-after', error.retryAfterSeconds);
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
