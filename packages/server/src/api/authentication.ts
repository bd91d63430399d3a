import { D4Error } from '@d4ts/protocol';
import type { FastifyRequest } from 'fastify';
import type { Actor, Registry, Role } from '../registry/port.ts';
import { tokenHash } from '../registry/tokens.ts';
import type { ServerFacts } from '../server-facts.ts';
import { AttemptThrottle } from './attempt-throttle.ts';
import { plainAddress } from './ip-network.ts';
import type { Access, Principal } from './route-types.ts';

const ROLES_WITH_ACCESS: Record<Exclude<Access, 'public'>, ReadonlySet<Role>> = {
  register: new Set<Role>(['sensor_register', 'user', 'admin']),
  viewer: new Set<Role>(['viewer', 'user', 'admin']),
  user: new Set<Role>(['user', 'admin']),
  admin: new Set<Role>(['admin']),
};

/** Too many unknown tokens came from the address. */
export class TooManyAttempts extends D4Error {
  readonly retryAfterSeconds: number;

  constructor(waitMs: number) {
    const seconds = Math.ceil(waitMs / 1000);
    super('D4_TOO_MANY_ATTEMPTS', `too many unknown tokens came from this address: wait ${seconds} s`);
    this.retryAfterSeconds = seconds;
  }
}

/**
 * Finds out who asks, by the `Authorization` header: a token alone, as the reference server takes it, or after
 * `Bearer`. Tokens are found by their hash, so that looking one up tells nothing about others. The local
 * administrator's token works even while its address is held back for unknown ones.
 */
export class Authentication {
  readonly #registry: Registry;
  readonly #server: Pick<ServerFacts, 'isLocalToken'>;
  readonly #now: () => number;
  readonly #throttle = new AttemptThrottle();

  constructor(registry: Registry, server: Pick<ServerFacts, 'isLocalToken'>, now: () => number) {
    this.#registry = registry;
    this.#server = server;
    this.#now = now;
  }

  /** @throws {D4Error} D4_TOKEN_MISSING, D4_TOKEN_UNKNOWN, D4_TOO_MANY_ATTEMPTS, D4_FORBIDDEN */
  authenticate(request: FastifyRequest, access: Exclude<Access, 'public'>): Principal {
    const token = tokenOf(request.headers.authorization);
    if (token === undefined)
      throw new D4Error('D4_TOKEN_MISSING', 'this needs a token: send it as `Authorization: Bearer TOKEN`');
    const principal = this.#principal(token, plainAddress(request.ip));
    if (!ROLES_WITH_ACCESS[access].has(principal.role)) {
      throw new D4Error('D4_FORBIDDEN', `the token has the role ${principal.role}, which does not allow this`);
    }
    return principal;
  }

  #principal(token: string, address: string): Principal {
    if (this.#server.isLocalToken(token)) return { actor: { name: 'local', address }, role: 'admin' };
    const now = this.#now();
    const wait = this.#throttle.waitFor(address, now);
    if (wait > 0) throw new TooManyAttempts(wait);
    const found = this.#registry.tokens.get(tokenHash(token))?.value;
    if (found === undefined || (found.expiresAt !== undefined && found.expiresAt <= now)) {
      this.#throttle.failed(address, now);
      throw new D4Error('D4_TOKEN_UNKNOWN', 'the token is not known, or has expired');
    }
    return { actor: { name: found.user, address }, role: found.role };
  }
}

function tokenOf(header: string | undefined): string | undefined {
  const token = header?.trim().replace(/^Bearer +/i, '');
  return token === '' ? undefined : token;
}

/** Who changes something through a route that needs a token. */
export function actorOf(request: FastifyRequest): Actor {
  if (request.principal === null) throw new Error(`${request.method} ${request.url}: a public route has no actor`);
  return request.principal.actor;
}
