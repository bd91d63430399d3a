import { hash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Actor, LoginSession, Registry, User } from '../../registry/port.ts';
import { tokenHash } from '../../registry/tokens.ts';

const SECRET_BYTES = 32;
const MAX_USER_AGENT_LENGTH = 300;
/** `lastUsedAt` and the address are written at most so often, in ms. */
const NOTE_MS = 60_000;
/** Sessions of one user; one more ends the one that was used longest ago. */
const MAX_SESSIONS_PER_USER = 50;

const SERVER: Actor = { name: 'server' };

/** After how long sessions end, in ms. */
export interface SessionLimits {
  /** Without any use. */
  readonly idleMs: number;
  /** In any case. */
  readonly absoluteMs: number;
}

/** A session that is alive. */
export interface LiveSession extends LoginSession {
  /** Names it to its owner; says nothing about its secret. */
  readonly id: string;
  /** Ends with the session. */
  readonly signal: AbortSignal;
}

/**
 * Who is signed in to the pages. The secret of a session is in the browser's cookie alone; the registry has its hash, so
 * that sessions survive a restart. A session ends when it was not used for a while, after a fixed time, when it is
 * ended, and when its user is removed or disabled or gets another password or role; its signal says so at once.
 */
export class LoginSessions {
  readonly limits: SessionLimits;
  readonly #registry: Pick<Registry, 'loginSessions' | 'users'>;
  readonly #now: () => number;
  readonly #ends = new Map<string, AbortController>();
  readonly #unwatch: (() => void)[];

  constructor(registry: Pick<Registry, 'loginSessions' | 'users'>, limits: SessionLimits, now: () => number) {
    this.#registry = registry;
    this.#now = now;
    this.limits = limits;
    this.#unwatch = [
      registry.users.watch(({ key, before, after }) => {
        const same =
          before?.passwordHash === after?.passwordHash &&
          before?.role === after?.role &&
          before?.disabled === after?.disabled;
        if (!same) void this.endAllOf(key);
      }),
      registry.loginSessions.watch(({ key, after }) => {
        if (after === undefined) this.#ended(key);
      }),
    ];
  }

  /** Starts a session, always with a new secret. @returns the secret, for the cookie */
  async start(mail: string, address: string, userAgent: string): Promise<{ secret: string; session: LiveSession }> {
    const secret = randomBytes(SECRET_BYTES).toString('base64url');
    const key = tokenHash(secret);
    const now = this.#now();
    const value: LoginSession = {
      user: mail,
      createdAt: now,
      lastUsedAt: now,
      address,
      userAgent: userAgent.slice(0, MAX_USER_AGENT_LENGTH),
    };
    await this.#registry.loginSessions.put(key, value, SERVER);
    for (const surplus of this.listOf(mail).slice(MAX_SESSIONS_PER_USER)) await this.end(mail, surplus.id);
    return { secret, session: this.#live(key, value) };
  }

  /** The session of a cookie's secret; undefined where there is none, or it has ended. */
  find(secret: string): LiveSession | undefined {
    const key = tokenHash(secret);
    const found = this.#registry.loginSessions.get(key)?.value;
    if (found === undefined) return undefined;
    if (!this.#isOver(found)) return this.#live(key, found);
    void this.#remove(key);
    return undefined;
  }

  /** Who is signed in. */
  userOf({ user }: LoginSession): User | undefined {
    return this.#registry.users.get(user)?.value;
  }

  /** Notes that a session is used. */
  touch({ id }: LiveSession, address: string): void {
    const key = this.#keyOf(id);
    const session = key === undefined ? undefined : this.#registry.loginSessions.get(key)?.value;
    if (key === undefined || session === undefined) return;
    const now = this.#now();
    if (now - session.lastUsedAt < NOTE_MS && session.address === address) return;
    void this.#registry.loginSessions.put(key, { ...session, lastUsedAt: now, address }, SERVER).catch(() => {});
  }

  /** The sessions of a user, the one that was used last first. */
  listOf(mail: string): LiveSession[] {
    const all: LiveSession[] = [];
    for (const [key, { value }] of this.#registry.loginSessions.entries()) {
      if (value.user === mail && !this.#isOver(value)) all.push(this.#live(key, value));
    }
    return all.sort((a, b) => b.lastUsedAt - a.lastUsedAt);
  }

  /** Ends one session of a user. @returns whether there was such a one */
  async end(mail: string, id: string): Promise<boolean> {
    const key = this.#keyOf(id);
    if (key === undefined || this.#registry.loginSessions.get(key)?.value.user !== mail) return false;
    return this.#remove(key);
  }

  /** Ends all sessions of a user. @returns how many */
  async endAllOf(mail: string): Promise<number> {
    const sessions = this.listOf(mail);
    for (const { id } of sessions) await this.end(mail, id);
    return sessions.length;
  }

  /** Ends what has lasted too long: a session that nobody asks with would never be looked at. */
  async sweep(): Promise<void> {
    for (const [key, { value }] of [...this.#registry.loginSessions.entries()]) {
      if (this.#isOver(value)) await this.#remove(key);
    }
  }

  /** Ends the signals; the sessions stay, for the next start. */
  close(): void {
    for (const stop of this.#unwatch) stop();
    for (const end of this.#ends.values()) end.abort();
    this.#ends.clear();
  }

  #isOver({ createdAt, lastUsedAt, user }: LoginSession): boolean {
    const now = this.#now();
    const owner = this.#registry.users.get(user)?.value;
    return (
      owner === undefined ||
      owner.disabled === true ||
      now - createdAt >= this.limits.absoluteMs ||
      now - lastUsedAt >= this.limits.idleMs
    );
  }

  #live(key: string, session: LoginSession): LiveSession {
    let end = this.#ends.get(key);
    if (end === undefined) {
      end = new AbortController();
      this.#ends.set(key, end);
    }
    return { ...session, id: idOf(key), signal: end.signal };
  }

  #keyOf(id: string): string | undefined {
    for (const [key] of this.#registry.loginSessions.entries()) if (idOf(key) === id) return key;
    return undefined;
  }

  async #remove(key: string): Promise<boolean> {
    this.#ended(key);
    return this.#registry.loginSessions.remove(key, SERVER);
  }

  #ended(key: string): void {
    this.#ends.get(key)?.abort();
    this.#ends.delete(key);
  }
}

/** What a change by the pages has to carry beside the cookie, which other sites cannot know: derived from the secret. */
export function csrfTokenOf(secret: string): string {
  return hash('sha256', `d4 csrf ${secret}`, 'base64url');
}

/** Compares in constant time. */
export function isCsrfTokenOf(secret: string, token: string): boolean {
  return timingSafeEqual(hash('sha256', csrfTokenOf(secret), 'buffer'), hash('sha256', token, 'buffer'));
}

/** The beginning of the secret's hash. */
function idOf(key: string): string {
  return key.slice(0, 16);
}
