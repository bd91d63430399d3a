import { type D4Code, D4Error } from '@d4ts/protocol';

/**
 * Every error that the HTTP interface answers with: its stable code, status and meaning. A route says which of them a
 * caller can meet; a `D4Error` with a code that is not here is the server's own failure and is not shown.
 */
export const API_ERRORS = {
  D4_BAD_REQUEST: { status: 400, meaning: 'the request is not what the route takes' },
  D4_BAD_UUID: { status: 400, meaning: 'a text is not a UUID, or not of the version that is needed' },
  D4_BAD_KEY: { status: 400, meaning: "a sensor's key is empty, too long, or not in its encoding" },
  D4_BAD_TYPE: { status: 400, meaning: 'a text is neither a type number nor the name of a meta type' },
  D4_BAD_GROUP: { status: 400, meaning: "a queue's group would be empty, or the queue has none" },
  D4_BAD_CERTIFICATE: { status: 400, meaning: 'the certificate or its key cannot be used' },
  D4_BAD_PASSWORD: { status: 400, meaning: 'the new password is too short, too long, or easily guessed' },
  D4_BAD_EXPORTER: { status: 400, meaning: "an exporter's settings do not go together" },
  D4_BAD_SERVER: { status: 400, meaning: 'sensors could not reach the server by the address, or would refuse it' },
  D4_BAD_BLOCK: { status: 400, meaning: 'a text is neither an address, nor a network, nor a UUID' },
  D4_TOKEN_MISSING: { status: 401, meaning: 'the request carries neither a token nor a session' },
  D4_TOKEN_UNKNOWN: { status: 401, meaning: 'the token is not known, or has expired' },
  D4_LOGIN_FAILED: { status: 401, meaning: 'the mail address or the password is wrong' },
  D4_SESSION_ENDED: { status: 401, meaning: 'the session has ended: sign in again' },
  D4_CSRF: { status: 403, meaning: "a session's change lacks its CSRF token, or comes from another origin" },
  D4_PASSWORD_CHANGE_NEEDED: { status: 403, meaning: 'the password has to be changed before anything else' },
  D4_FORBIDDEN: { status: 403, meaning: "the token's role does not allow this" },
  D4_NOT_FOUND: { status: 404, meaning: 'there is no such thing' },
  D4_METHOD_NOT_ALLOWED: { status: 405, meaning: 'the address exists, but not for this method' },
  D4_REQUEST_TIMEOUT: { status: 408, meaning: 'the request was not completed in time' },
  D4_CONFLICT: { status: 409, meaning: 'it exists already, or was changed by somebody else in the meantime' },
  D4_OTHER_AUTHORITY: {
    status: 409,
    meaning: 'sensors have pinned another authority than the one that signed the certificate',
  },
  D4_LAST_ADMINISTRATOR: { status: 409, meaning: 'there would be no administrator any more' },
  D4_QUEUE_FULL: { status: 409, meaning: 'the queue cannot keep any more of that: pop some items first' },
  D4_TOO_MANY_CLAIMED: { status: 409, meaning: 'consumers have too many items that are not acknowledged' },
  D4_FILE_GONE: { status: 410, meaning: 'the file was finished, but has been removed or changed since' },
  D4_CHANGED_MEANWHILE: {
    status: 412,
    meaning: 'somebody else has changed it after it was read: the change with `If-Match` was not made',
  },
  D4_BODY_TOO_LARGE: { status: 413, meaning: 'the body is larger than 1 MiB' },
  D4_ADDRESS_TOO_LONG: { status: 414, meaning: 'a part of the address is too long' },
  D4_UNSUPPORTED_MEDIA: { status: 415, meaning: 'the body is not application/json' },
  D4_TYPE_NOT_ACCEPTED: { status: 422, meaning: 'the type is not accepted by this server' },
  D4_TOO_MANY_ATTEMPTS: { status: 429, meaning: 'too many unknown tokens came from this address' },
  D4_LOCKED_OUT: { status: 429, meaning: 'too many wrong passwords came; sign-in is locked for a while' },
  D4_TOO_MANY_STREAMS: { status: 429, meaning: 'too many live streams are open already' },
  D4_RATE_LIMITED: { status: 429, meaning: 'too many requests came' },
  D4_HEADERS_TOO_LARGE: { status: 431, meaning: "the request's headers are too large" },
  D4_INTERNAL: { status: 500, meaning: 'the server failed; its log says more' },
  D4_TOO_BUSY: { status: 503, meaning: 'too many people sign in at the same moment' },
  D4_NOT_READY: { status: 503, meaning: 'the server is starting or stopping' },
} as const satisfies Partial<Record<D4Code, { status: number; meaning: string }>>;

export type ApiErrorCode = keyof typeof API_ERRORS;

function isApiErrorCode(code: unknown): code is ApiErrorCode {
  return typeof code === 'string' && Object.hasOwn(API_ERRORS, code);
}

/** The same request may do better later. */
export class RetryLater extends D4Error {
  readonly retryAfterSeconds: number;

  /** @param message without how long to wait, which is added to it */
  constructor(code: ApiErrorCode, message: string, waitMs: number) {
    const seconds = Math.max(1, Math.ceil(waitMs / 1000));
    super(code, `${message}: wait ${seconds} s`);
    this.retryAfterSeconds = seconds;
  }
}

/** What is answered for an error. */
export interface ApiFailure {
  readonly code: ApiErrorCode;
  readonly status: number;
  readonly message: string;
  /** Whether it is a failure of the server, which belongs in its log. */
  readonly internal: boolean;
}

const BY_STATUS: ReadonlyMap<number, ApiErrorCode> = new Map([
  [404, 'D4_NOT_FOUND'],
  [408, 'D4_REQUEST_TIMEOUT'],
  [413, 'D4_BODY_TOO_LARGE'],
  [414, 'D4_ADDRESS_TOO_LONG'],
  [415, 'D4_UNSUPPORTED_MEDIA'],
  [503, 'D4_NOT_READY'],
]);

/** Judges whatever a route or the framework threw. */
export function failureOf(error: unknown): ApiFailure {
  if (error instanceof D4Error) {
    if (!isApiErrorCode(error.code)) return internalFailure();
    return { code: error.code, status: API_ERRORS[error.code].status, message: error.message, internal: false };
  }
  const status = statusOf(error);
  if (status === undefined || (status >= 500 && status !== 503)) return internalFailure();
  const code = BY_STATUS.get(status) ?? 'D4_BAD_REQUEST';
  const meaning = code === 'D4_BAD_REQUEST' && error instanceof Error ? error.message : API_ERRORS[code].meaning;
  return { code, status: API_ERRORS[code].status, message: meaning, internal: false };
}

function internalFailure(): ApiFailure {
  const { status, meaning } = API_ERRORS.D4_INTERNAL;
  return { code: 'D4_INTERNAL', status, message: meaning, internal: true };
}

/** The status that the framework gives to its own errors. */
function statusOf(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null || !('statusCode' in error)) return undefined;
  return typeof error.statusCode === 'number' ? error.statusCode : undefined;
}

/** There is no such thing: `what` with an article, e.g. `no sensor 5f2b…`. */
export function notFound(what: string): D4Error {
  return new D4Error('D4_NOT_FOUND', `there is ${what}`);
}
