import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import { text } from 'node:stream/consumers';
import { connect, type TLSSocket } from 'node:tls';
import { type D4Code, D4Error } from '@d4ts/protocol';
import type { ServerAccess } from './server-access.ts';

const TIMEOUT_MS = 30_000;

/** What the server answered. */
export interface ApiAnswer {
  readonly status: number;
  /** The parsed JSON; undefined where there was none. */
  readonly body: unknown;
}

/** A page of a list, as the HTTP interface has it. */
interface Page<T> {
  readonly items: T[];
  readonly next: string | null;
}

/**
 * Asks a server's HTTP interface. The token is sent only after the server has proved itself. What it answers is taken
 * as its OpenAPI description says.
 */
export class ApiConnection {
  readonly #access: ServerAccess;

  constructor(access: ServerAccess) {
    this.#access = access;
  }

  get<T>(path: string): Promise<T> {
    return this.#call<T>('GET', path);
  }

  post<T>(path: string, body?: object): Promise<T> {
    return this.#call<T>('POST', path, body);
  }

  /** Asks for something to be made. @returns also whether it was: false where it was there already */
  async make<T>(path: string, body: object): Promise<{ value: T; made: boolean }> {
    const { status, body: value } = await this.#answered('POST', path, body);
    return { value: value as T, made: status === 201 };
  }

  patch<T>(path: string, body: object): Promise<T> {
    return this.#call('PATCH', path, body);
  }

  put<T>(path: string, body: object): Promise<T> {
    return this.#call('PUT', path, body);
  }

  delete<T = void>(path: string): Promise<T> {
    return this.#call<T>('DELETE', path);
  }

  /** A whole list, page after page. */
  async list<T>(path: string): Promise<T[]> {
    const items: T[] = [];
    let after = '';
    for (;;) {
      const page = await this.get<Page<T>>(`${path}?limit=1000${after}`);
      for (const item of page.items) items.push(item);
      if (page.next === null) return items;
      after = `&after=${encodeURIComponent(page.next)}`;
    }
  }

  /** Asks, whatever the status of the answer. @throws {D4Error} where the server cannot be reached, or is another one */
  async ask(method: string, path: string, body?: object): Promise<ApiAnswer> {
    const socket = await this.#connect();
    try {
      const response = await this.#send(socket, method, path, body);
      return { status: response.statusCode ?? 0, body: parsed(await text(response)) };
    } catch (error) {
      throw error instanceof D4Error ? error : this.#unreachable(error);
    } finally {
      socket.destroy();
    }
  }

  /**
   * The bytes of an answer that is not JSON, as they come.
   * @param body what is asked for, where it is not asked with GET alone
   * @throws {D4Error} also in the middle, where the server breaks off
   */
  async *download(path: string, body?: object): AsyncGenerator<Buffer> {
    this.#needToken();
    const socket = await this.#connect();
    try {
      const response = await this.#send(socket, body === undefined ? 'GET' : 'POST', `/api/v1${path}`, body);
      if (response.statusCode !== 200) {
        const refused = parsed(await text(response));
        throw this.#refusal({ status: response.statusCode ?? 0, body: refused });
      }
      // Whoever reads what comes out of this may take their time.
      socket.setTimeout(0);
      yield* response;
    } catch (error) {
      if (error instanceof D4Error) throw error;
      throw new D4Error('D4_BROKEN_OFF', `${this.#access.url.host} has not sent all of it: ${reason(error)}`, error);
    } finally {
      socket.destroy();
    }
  }

  #needToken(): void {
    if (this.#access.token !== undefined) return;
    throw new D4Error('D4_USAGE', 'with --url, give a token with D4_TOKEN or --token');
  }

  async #call<T>(method: string, path: string, body?: object): Promise<T> {
    return (await this.#answered(method, path, body)).body as T;
  }

  async #answered(method: string, path: string, body?: object): Promise<ApiAnswer> {
    this.#needToken();
    const answer = await this.ask(method, `/api/v1${path}`, body);
    if (answer.status >= 200 && answer.status < 300) return answer;
    throw this.#refusal(answer);
  }

  async #connect(): Promise<TLSSocket> {
    const { url, trust } = this.#access;
    const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
    const socket = connect({
      host,
      port: Number(url.port || 443),
      minVersion: 'TLSv1.2',
      ...(isIP(host) === 0 && { servername: host }),
      ...(trust !== 'system' && ('ca' in trust ? { ca: trust.ca } : { rejectUnauthorized: false })),
    });
    socket.setTimeout(TIMEOUT_MS, () => socket.destroy(new Error(`no answer within ${TIMEOUT_MS / 1000} s`)));
    try {
      await once(socket, 'secureConnect');
      if (trust !== 'system' && 'certificateSha256' in trust) this.#checkCertificate(socket, trust.certificateSha256);
      return socket;
    } catch (error) {
      socket.destroy();
      throw error instanceof D4Error ? error : this.#unreachable(error);
    }
  }

  #checkCertificate(socket: TLSSocket, expected: string): void {
    const shown = socket.getPeerCertificate().fingerprint256?.replaceAll(':', '').toLowerCase();
    if (shown === expected) return;
    throw new D4Error(
      'D4_OTHER_SERVER',
      `another program answers at ${this.#access.url.host}: its certificate is not the one in ${this.#access.home}/server.json. Is the server of this home still running?`,
    );
  }

  async #send(socket: TLSSocket, method: string, path: string, body?: object): Promise<IncomingMessage> {
    const { url, token } = this.#access;
    const json = body === undefined ? undefined : JSON.stringify(body);
    const request = httpRequest({
      createConnection: () => socket,
      method,
      path,
      headers: {
        host: url.host,
        accept: 'application/json',
        connection: 'close',
        ...(token !== undefined && { authorization: `Bearer ${token}` }),
        ...(json !== undefined && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(json) }),
      },
    });
    request.end(json);
    const [response] = await once(request, 'response');
    return response;
  }

  #unreachable(error: unknown): D4Error {
    const { url, home } = this.#access;
    const why = reason(error);
    if (home !== undefined) {
      return new D4Error(
        'D4_SERVER_NOT_RUNNING',
        `the server of ${home} does not answer at ${url.host}: ${why}. If it was killed, start it again with "d4 server --home ${home}"`,
        error,
      );
    }
    if (isUntrusted(error)) {
      return new D4Error(
        'D4_SERVER_UNREACHABLE',
        `${url.host} is not trusted: ${why}. Give the certificate that signed its own with --ca FILE: a server that made its certificate itself has it as rootCA.crt in its home`,
        error,
      );
    }
    return new D4Error('D4_SERVER_UNREACHABLE', `${url.host} cannot be reached: ${why}`, error);
  }

  #refusal({ status, body }: ApiAnswer): D4Error {
    const error = (body as { error?: { code?: unknown; message?: unknown } } | undefined)?.error;
    if (typeof error?.code !== 'string' || typeof error.message !== 'string' || !error.code.startsWith('D4_')) {
      return new D4Error(
        'D4_NOT_A_D4_SERVER',
        `${this.#access.url.host} answered with status ${status}: is it a D4 server?`,
      );
    }
    return new D4Error(error.code as D4Code, error.message);
  }
}

function parsed(json: string): unknown {
  if (json === '') return undefined;
  try {
    return JSON.parse(json);
  } catch (error) {
    throw new D4Error('D4_NOT_A_D4_SERVER', 'the answer is not JSON: is it a D4 server?', error);
  }
}

/** What TLS says of a certificate that no authority known here has signed. */
const UNTRUSTED: ReadonlySet<unknown> = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'CERT_SIGNATURE_FAILURE',
]);

function isUntrusted(error: unknown): boolean {
  return error instanceof Error && 'code' in error && UNTRUSTED.has(error.code);
}

/** Where an address has several errors (IPv4 and IPv6), the first says enough. */
function reason(error: unknown): string {
  if (error instanceof AggregateError) return reason(error.errors[0]);
  return error instanceof Error ? error.message : String(error);
}
