import type { Registry } from '../../registry/port.ts';
import type { ApiLog } from '../api-context.ts';
import { AttemptThrottle } from '../attempt-throttle.ts';
import { LoginSessions, type SessionLimits } from './login-sessions.ts';
import { Logins } from './logins.ts';
import { TokenAccess } from './token-access.ts';

const SWEEP_MS = 15_000;
/** Audit records are kept for two years, but no more than so many. */
const AUDIT_MS = 2 * 365 * 24 * 60 * 60_000;
const AUDIT_RECORDS = 2_000_000;
const PRUNE_MS = 60 * 60_000;

/** Who is signed in, by password or token, and who is held back. */
export class People {
  readonly sessions: LoginSessions;
  readonly logins: Logins;
  readonly tokens: TokenAccess;
  /** Addresses that try unknown tokens. */
  readonly unknownTokens: AttemptThrottle = new AttemptThrottle();
  readonly #registry: Registry;
  readonly #log: ApiLog;
  readonly #now: () => number;
  readonly #timers: NodeJS.Timeout[];

  constructor(registry: Registry, limits: SessionLimits, log: ApiLog, now: () => number) {
    this.#registry = registry;
    this.#log = log;
    this.#now = now;
    this.sessions = new LoginSessions(registry, limits, now);
    this.logins = new Logins(registry, log, now);
    this.tokens = new TokenAccess(registry, now);
    this.#timers = [
      setInterval(() => void this.sweep(), SWEEP_MS).unref(),
      setInterval(() => void this.#pruneAudit(), PRUNE_MS).unref(),
    ];
    void this.#pruneAudit();
  }

  /** Ends sessions and streams whose time is over. */
  async sweep(): Promise<void> {
    try {
      this.tokens.sweep();
      await this.sessions.sweep();
    } catch (error) {
      this.#log.error({ err: error }, 'sessions whose time is over cannot be ended');
    }
  }

  /** Ends what streams to people; they are still signed in after the next start. */
  close(): void {
    for (const timer of this.#timers) clearInterval(timer);
    this.sessions.close();
    this.tokens.close();
  }

  async #pruneAudit(): Promise<void> {
    try {
      const records = await this.#registry.audit.prune(this.#now() - AUDIT_MS, AUDIT_RECORDS);
      if (records > 0) this.#log.info({ records }, 'old audit records were removed');
    } catch (error) {
      this.#log.error({ err: error }, 'old audit records cannot be removed');
    }
  }
}
