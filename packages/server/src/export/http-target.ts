import { isUtf8 } from 'node:buffer';
import { randomUUID } from 'node:crypto';
import { Agent, type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest, Agent as TlsAgent } from 'node:https';
import { BackOff } from './back-off.ts';
import { type CertificateCheck, networkProblem, tlsCheck } from './connect.ts';
import { runsOf } from './framing.ts';
import type { ExportTarget, RecordBatch, TargetCounts, TargetEvents } from './port.ts';

/** About how large the body of a request is at the most, in bytes of records. */
const BATCH_BYTES = 1024 * 1024;
const TIMEOUT_MS = 30_000;
/** A request that is under way at the end may take so long, so that it need not be made again. */
const LAST_REQUEST_MS = 3_000;
const LONGEST_RETRY_AFTER_MS = 300_000;
const NEWLINE = Buffer.from('\n');

/** What an HTTP target is told. */
export interface HttpTargetOptions extends CertificateCheck {
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  /** Records are lines of JSON and sent as they are; else each becomes `{"type": …, "record": …}`. */
  readonly raw: boolean;
  /** The records' type. */
  readonly type: string;
}

/** What became of a request. */
type Outcome =
  | { readonly kind: 'delivered' }
  | { readonly kind: 'too-large' }
  | { readonly kind: 'failed'; readonly problem: string; readonly retryAfterMs: number };

/**
 * Posts records as lines of JSON, one request after another. An answer of 2xx means that they are delivered; 413 makes the
 * request smaller; everything else is tried again for ever, after as long as `Retry-After` says. Each request has an id
 * (`X-D4-Batch`) that stays the same when it is repeated.
 */
export class HttpTarget implements ExportTarget {
  readonly where: string;
  readonly counts: TargetCounts = { errors: 0, skipped: 0, repeated: 0 };
  problem: string | undefined;
  readonly #options: HttpTargetOptions;
  readonly #events: TargetEvents;
  readonly #agent: Agent;
  readonly #backOff = new BackOff();

  private constructor(options: HttpTargetOptions, events: TargetEvents, agent: Agent) {
    this.#options = options;
    this.#events = events;
    this.#agent = agent;
    this.where = `http ${options.url.origin}${options.url.pathname}`;
  }

  /** @throws {D4Error} D4_EXPORT_CA */
  static async open(options: HttpTargetOptions, events: TargetEvents): Promise<HttpTarget> {
    const keep = { keepAlive: true, maxSockets: 1 };
    const { url } = options;
    const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
    const isTls = url.protocol === 'https:';
    const agent = isTls ? new TlsAgent({ ...keep, ...(await tlsCheck(options, host)) }) : new Agent(keep);
    return new HttpTarget(options, events, agent);
  }

  async send({ records }: RecordBatch, signal: AbortSignal): Promise<void> {
    for (const run of runsOf(records, BATCH_BYTES)) {
      if (!(await this.#deliver(run, signal))) return;
    }
  }

  async close(): Promise<void> {
    this.#agent.destroy();
  }

  /** @returns false where the signal ended it before */
  async #deliver(records: readonly Buffer[], signal: AbortSignal): Promise<boolean> {
    const body = Buffer.concat(records.flatMap((record) => [this.#line(record), NEWLINE]));
    const id = randomUUID();
    for (;;) {
      if (signal.aborted) return false;
      const outcome = await this.#post(body, id, signal);
      if (outcome.kind === 'delivered') {
        this.#works();
        this.#events.delivered(records.length);
        return true;
      }
      if (outcome.kind === 'too-large') return this.#deliverParts(records, signal);
      if (signal.aborted) return false;
      this.#fail(outcome.problem);
      await this.#backOff.wait(signal, outcome.retryAfterMs);
      this.counts.repeated += records.length;
    }
  }

  async #deliverParts(records: readonly Buffer[], signal: AbortSignal): Promise<boolean> {
    if (records.length === 1) {
      this.counts.skipped++;
      this.#events.warn(`a record of ${records[0]?.length} bytes is skipped: ${this.where} finds it too large (413)`);
      this.#events.delivered(1);
      return true;
    }
    const half = records.length >>> 1;
    return (await this.#deliver(records.slice(0, half), signal)) && this.#deliver(records.slice(half), signal);
  }

  #line(record: Buffer): Buffer {
    const { raw, type } = this.#options;
    if (raw) return record;
    const what = isUtf8(record) ? { record: record.toString('utf8') } : { base64: record.toString('base64') };
    return Buffer.from(JSON.stringify({ type, ...what }));
  }

  async #post(body: Buffer, id: string, signal: AbortSignal): Promise<Outcome> {
    const failed = (problem: string, retryAfterMs = 0): Outcome => ({ kind: 'failed', problem, retryAfterMs });
    try {
      const { statusCode = 0, headers } = await this.#answer(body, id, signal);
      if (statusCode >= 200 && statusCode < 300) return { kind: 'delivered' };
      if (statusCode === 413) return { kind: 'too-large' };
      const what = `${this.where} answers ${statusCode}${meaning(statusCode)}`;
      return failed(what, retryAfter(headers['retry-after'], Date.now()));
    } catch (error) {
      return failed(`cannot post to ${this.where}: ${networkProblem(error)}`);
    }
  }

  #answer(body: Buffer, id: string, signal: AbortSignal): Promise<IncomingMessage> {
    const { url, headers } = this.#options;
    const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
    let giveUp: NodeJS.Timeout | undefined;
    let onAbort = (): void => {};
    const answer = new Promise<IncomingMessage>((resolve, reject) => {
      const request: ClientRequest = send(url, {
        method: 'POST',
        agent: this.#agent,
        timeout: TIMEOUT_MS,
        headers: {
          'content-type': 'application/x-ndjson',
          'content-length': body.length,
          'x-d4-batch': id,
          ...headers,
        },
      });
      request.once('timeout', () => request.destroy(new Error(`no answer within ${TIMEOUT_MS / 1000} s`)));
      request.once('error', reject);
      request.once('response', (response) => {
        response.once('error', reject);
        response.once('end', () => resolve(response));
        response.resume();
      });
      onAbort = () => {
        giveUp = setTimeout(() => request.destroy(new Error('stopped')), LAST_REQUEST_MS);
      };
      signal.addEventListener('abort', onAbort, { once: true });
      request.end(body);
    });
    return answer.finally(() => {
      clearTimeout(giveUp);
      signal.removeEventListener('abort', onAbort);
    });
  }

  #works(): void {
    if (this.problem !== undefined) this.#events.warn(`${this.where} takes records again`);
    this.problem = undefined;
    this.#backOff.reset();
  }

  #fail(problem: string): void {
    this.counts.errors++;
    if (problem !== this.problem) this.#events.warn(`${problem}: records are held, trying again until it takes them`);
    this.problem = problem;
  }
}

function meaning(status: number): string {
  if (status >= 300 && status < 400) return ' (a redirection, which is not followed: give the final address)';
  if (status === 401 || status === 403) return ' (it wants other credentials: see --header)';
  if (status === 404) return ' (nothing is at that address)';
  return '';
}

/** What `Retry-After` says, in ms: seconds or a date (RFC 9110, section 10.2.3). */
export function retryAfter(header: string | undefined, now: number): number {
  if (header === undefined) return 0;
  const ms = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - now;
  return Number.isNaN(ms) ? 0 : Math.min(Math.max(ms, 0), LONGEST_RETRY_AFTER_MS);
}
