import { D4Error } from '@d4ts/protocol';
import { hashPassword, verifyPassword } from '../../registry/passwords.ts';
import type { Registry, User } from '../../registry/port.ts';
import type { ApiLog } from '../api-context.ts';
import { RetryLater } from '../api-errors.ts';
import { LoginGuard } from './login-guard.ts';

/** Passwords that wait to be looked at. Each takes some 80 ms and 32 MiB, so they go one by one. */
const MAX_WAITING = 50;
const MAX_WAITING_PER_ADDRESS = 4;
/** Audit records of failures in a minute; those beyond are summed up, so that nobody can fill the record. */
const MAX_RECORDED_FAILURES = 30;
const MINUTE_MS = 60_000;

/** What a password is looked at for. */
export interface Attempt {
  /** As `userMail` gives it. */
  readonly mail: string;
  readonly password: string;
  readonly address: string;
}

/** Judges passwords, one by one, and holds back who guesses. */
export class Logins {
  readonly guard: LoginGuard = new LoginGuard();
  readonly #registry: Registry;
  readonly #log: ApiLog;
  readonly #now: () => number;
  /** So that an unknown user takes as long as a known one. */
  readonly #nobody: Promise<string> = hashPassword('nobody has this');
  readonly #waiting = new Map<string, number>();
  #last: Promise<unknown> = Promise.resolve();
  #waitingInAll = 0;
  #recorded = { minute: 0, count: 0 };

  constructor(registry: Registry, log: ApiLog, now: () => number) {
    this.#registry = registry;
    this.#log = log;
    this.#now = now;
    for (const [, { value }] of registry.loginSessions.entries()) this.guard.succeeded(value.user, value.address);
  }

  /**
   * The user, if the password is right.
   * @throws {D4Error} D4_LOGIN_FAILED, D4_LOCKED_OUT, D4_TOO_BUSY
   */
  async check(attempt: Attempt): Promise<User> {
    const { address } = attempt;
    this.#refuseLocked(attempt);
    const waiting = this.#waiting.get(address) ?? 0;
    if (this.#waitingInAll >= MAX_WAITING || waiting >= MAX_WAITING_PER_ADDRESS) {
      throw new RetryLater('D4_TOO_BUSY', 'too many people sign in at the same moment: try again', 5_000);
    }
    this.#waiting.set(address, waiting + 1);
    this.#waitingInAll += 1;
    const turn = this.#last.then(() => this.#look(attempt));
    this.#last = turn.catch(() => {});
    try {
      return await turn;
    } finally {
      this.#waitingInAll -= 1;
      const left = (this.#waiting.get(address) ?? 1) - 1;
      if (left > 0) this.#waiting.set(address, left);
      else this.#waiting.delete(address);
    }
  }

  async #look(attempt: Attempt): Promise<User> {
    const { mail, password, address } = attempt;
    // Those before it in the line may have been wrong too.
    this.#refuseLocked(attempt);
    const user = this.#registry.users.get(mail)?.value;
    const right = await verifyPassword(password, user?.passwordHash ?? (await this.#nobody));
    if (right && user !== undefined && user.disabled !== true) {
      this.guard.succeeded(mail, address);
      return user;
    }
    await this.#failed(attempt, user === undefined ? 'no such user' : right ? 'disabled' : 'wrong password');
    throw new D4Error('D4_LOGIN_FAILED', 'the mail address or the password is wrong');
  }

  #refuseLocked({ mail, address }: Attempt): void {
    const wait = this.guard.waitFor(mail, address, this.#now());
    if (wait > 0) {
      throw new RetryLater('D4_LOCKED_OUT', 'too many wrong passwords came: sign-in is locked for a while', wait);
    }
  }

  async #failed({ mail, address }: Attempt, why: string): Promise<void> {
    const now = this.#now();
    const locked = this.guard.failed(mail, address, now);
    const actor = { name: mail, address };
    this.#log.warn({ mail, address, why }, 'a sign-in failed');
    await this.#recordFailure(mail, address, why, now);
    for (const { kind, failures, until } of locked) {
      this.#log.warn({ mail, address, kind, failures }, 'sign-in is locked for a while after repeated failures');
      const key = kind === 'address' ? address : mail;
      await this.#registry.audit.record({ kind: 'locked-out', key, actor, details: { lock: kind, failures, until } });
    }
  }

  async #recordFailure(mail: string, address: string, why: string, now: number): Promise<void> {
    const minute = Math.floor(now / MINUTE_MS);
    const before = this.#recorded;
    if (before.minute !== minute) {
      const left = before.count - MAX_RECORDED_FAILURES;
      this.#recorded = { minute, count: 0 };
      if (left > 0) {
        const details = { failures: left, minute: before.minute * MINUTE_MS };
        await this.#registry.audit.record({
          kind: 'login-failed',
          key: '(more)',
          actor: { name: 'server' },
          details,
        });
      }
    }
    this.#recorded.count += 1;
    if (this.#recorded.count > MAX_RECORDED_FAILURES) return;
    await this.#registry.audit.record({
      kind: 'login-failed',
      key: mail,
      actor: { name: mail, address },
      details: { why },
    });
  }
}
