import { D4Error, sensorIdFrom } from '@d4ts/protocol';
import type { FastifyRequest } from 'fastify';
import type { Queues } from '../queues/port.ts';
import type { Actor, Role } from '../registry/port.ts';
import type { ServerFacts } from '../server-facts.ts';
import { RetryLater } from './api-errors.ts';
import { plainAddress } from './ip-network.ts';
import { isCsrfTokenOf } from './people/login-sessions.ts';
import type { People } from './people/people.ts';
import { ADDRESS_RATE, RateLimit, SIGNED_IN_RATE } from './rate-limit.ts';
import type { Access, Principal } from './route-types.ts';
import { checkSameOrigin, cookieSecret } from './session-cookie.ts';

const ROLES_WITH_ACCESS: Record<Exclude<Access, 'public'>, ReadonlySet<Role>> = {
  'signed-in': new Set<Role>(['sensor_register', 'viewer', 'user', 'admin']),
  register: new Set<Role>(['sensor_register', 'user', 'admin']),
  queue: new Set<Role>(['user', 'admin']),
  viewer: new Set<Role>(['viewer', 'user', 'admin']),
  user: new Set<Role>(['user', 'admin']),
  admin: new Set<Role>(['admin']),
};

const CHANGES_NOTHING: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

/**
 * Finds out who asks: by the `Authorization` header (a token alone, as the reference server takes it, or after
 * `Bearer`), or else by the cookie of a session. What a session changes has to carry the session's CSRF token too, and
 * to come from our own origin. The local administrator's token works even while its address is held back.
 */
export class Authentication {
  readonly #people: People;
  readonly #server: Pick<ServerFacts, 'isLocalToken'>;
  readonly #queues: Pick<Queues, 'accessBy'>;
  readonly #now: () => number;
  readonly #addresses = new RateLimit(ADDRESS_RATE);
  readonly #callers = new RateLimit(SIGNED_IN_RATE);
  /** The local administrator's streams end with the server. */
  readonly #ends = new AbortController();

  constructor(
    people: People,
    { server, queues }: { server: Pick<ServerFacts, 'isLocalToken'>; queues: Pick<Queues, 'accessBy'> },
    now: () => number,
  ) {
    this.#queues = queues;
    this.#people = people;
    this.#server = server;
    this.#now = now;
  }

  /**
   * Lets a request in, unless there are too many of its caller. The local administrator has no limit.
   * @returns who asks; null on a public route
   * @throws {D4Error} D4_RATE_LIMITED, and as `authenticate`
   */
  admit(request: FastifyRequest, access: Access): Principal | null {
    const now = this.#now();
    const byAddress = () => this.#addresses.take(plainAddress(request.ip), now);
    if (access === 'public') {
      byAddress();
      return null;
    }
    let principal: Principal;
    try {
      const byCredential = access === 'queue' ? this.#byCredential(request) : undefined;
      principal = byCredential ?? this.authenticate(request, access);
    } catch (error) {
      byAddress();
      throw error;
    }
    const { via, mail, session, actor } = principal;
    if (via !== 'local') this.#callers.take(session?.id ?? `token of ${mail ?? actor.name}`, now);
    return principal;
  }

  /**
   * @throws {D4Error} D4_TOKEN_MISSING, D4_TOKEN_UNKNOWN, D4_TOO_MANY_ATTEMPTS, D4_SESSION_ENDED, D4_CSRF,
   *   D4_PASSWORD_CHANGE_NEEDED, D4_FORBIDDEN
   */
  authenticate(request: FastifyRequest, access: Exclude<Access, 'public'>): Principal {
    const principal = this.#principal(request);
    if (principal.mustChangePassword && request.routeOptions.config.beforePasswordChange !== true) {
      throw new D4Error('D4_PASSWORD_CHANGE_NEEDED', 'choose a password of your own first (POST /api/v1/me/password)');
    }
    if (!ROLES_WITH_ACCESS[access].has(principal.role)) {
      throw new D4Error('D4_FORBIDDEN', `you are signed in with the role ${principal.role}, which does not allow this`);
    }
    return principal;
  }

  /** Ends the streams of the local administrator. */
  close(): void {
    this.#ends.abort();
  }

  #principal(request: FastifyRequest): Principal {
    const address = plainAddress(request.ip);
    const token = tokenOf(request.headers.authorization);
    if (token !== undefined) return this.#byToken(token, address);
    const secret = cookieSecret(request);
    if (secret !== undefined) return this.#bySession(secret, address, request);
    throw new D4Error(
      'D4_TOKEN_MISSING',
      'this needs somebody who is signed in, or a token: send it as `Authorization: Bearer TOKEN`',
    );
  }

  /** Who has the credential of the queue in the path. */
  #byCredential(request: FastifyRequest): Principal | undefined {
    const token = tokenOf(request.headers.authorization);
    const { uuid } = request.params as { uuid?: string };
    const queue = uuid === undefined ? undefined : sensorIdFrom(uuid);
    if (token === undefined || queue === undefined) return undefined;
    const access = this.#queues.accessBy(token, queue);
    if (access === undefined) return undefined;
    const actor = { name: `credential of queue ${queue}`, address: plainAddress(request.ip) };
    const current = { isCurrent: () => access.isCurrent(), signal: this.#ends.signal, touch() {} };
    return { actor, role: 'user', via: 'token', mustChangePassword: false, ...current };
  }

  #byToken(token: string, address: string): Principal {
    if (this.#server.isLocalToken(token)) {
      const actor = { name: 'local', address };
      return { actor, role: 'admin', via: 'local', mustChangePassword: false, signal: this.#ends.signal, touch() {} };
    }
    const throttle = this.#people.unknownTokens;
    const now = this.#now();
    const wait = throttle.waitFor(address, now);
    if (wait > 0) {
      throw new RetryLater('D4_TOO_MANY_ATTEMPTS', 'too many unknown tokens came from this address', wait);
    }
    const found = this.#people.tokens.use(token, address);
    if (found === undefined) {
      throttle.failed(address, now);
      throw new D4Error('D4_TOKEN_UNKNOWN', 'the token is not known, has expired, or its user may not use it any more');
    }
    const { user, role, effectiveRole, signal } = found;
    if (effectiveRole === undefined) {
      throw new D4Error('D4_FORBIDDEN', `the token has the role ${role}, which its user does not have any more`);
    }
    const actor = { name: user, address };
    return { actor, role: effectiveRole, via: 'token', mail: user, mustChangePassword: false, signal, touch() {} };
  }

  #bySession(secret: string, address: string, request: FastifyRequest): Principal {
    const { sessions } = this.#people;
    const session = sessions.find(secret);
    const user = session === undefined ? undefined : sessions.userOf(session);
    if (session === undefined || user === undefined) {
      throw new D4Error('D4_SESSION_ENDED', 'you are no longer signed in: sign in again');
    }
    if (!CHANGES_NOTHING.has(request.method)) {
      checkSameOrigin(request);
      const given = request.headers['x-csrf-token'];
      if (typeof given !== 'string' || !isCsrfTokenOf(secret, given)) {
        throw new D4Error(
          'D4_CSRF',
          'the request lacks the x-csrf-token header of this session, which GET /api/v1/session tells',
        );
      }
    }
    sessions.touch(session, address);
    return {
      actor: { name: session.user, address },
      role: user.role,
      via: 'session',
      mail: session.user,
      session: { ...session, secret },
      mustChangePassword: user.mustChangePassword,
      signal: session.signal,
      touch: () => sessions.touch(session, address),
    };
  }
}

function tokenOf(header: string | undefined): string | undefined {
  const token = header?.trim().replace(/^Bearer +/i, '');
  return token === '' ? undefined : token;
}

/** Who asks, on a route that is not public. */
export function principalOf(request: FastifyRequest): Principal {
  if (request.principal === null) throw new Error(`${request.method} ${request.url}: nobody asks on a public route`);
  return request.principal;
}

/** Who changes something through a route that is not public. */
export function actorOf(request: FastifyRequest): Actor {
  return principalOf(request).actor;
}
