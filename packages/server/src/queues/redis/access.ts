import { createHash, timingSafeEqual } from 'node:crypto';
import { sensorIdFrom } from '@d4ts/protocol';
import type { QueueAccess, Queues } from '../port.ts';
import { ReplyError } from './command.ts';

/** What a client may do: everything, or what a credential opens. */
export type Rights = 'all' | QueueAccess;

/** Holds back addresses that try secret after secret. Times are ms since 1970. */
export interface AttemptLimit {
  /** How long an address has to wait before its next attempt is looked at, in ms; 0 where it need not. */
  waitFor(address: string, now: number): number;
  failed(address: string, now: number): void;
}

/** What Redis answers to a wrong password. */
const WRONG = 'WRONGPASS invalid username-password pair or user is disabled.';

/**
 * Who may use the socket. Without a password everybody who reaches it may do everything; with one, it is needed for
 * that. A queue's credential opens that queue alone, with and without a password.
 */
export class Gate {
  readonly #queues: Queues;
  readonly #password: Buffer | undefined;
  readonly #attempts: AttemptLimit;

  constructor(queues: Queues, password: string | undefined, attempts: AttemptLimit) {
    this.#queues = queues;
    this.#password = password === undefined ? undefined : digest(Buffer.from(password));
    this.#attempts = attempts;
  }

  /** What a client may do before it says who it is; undefined for nothing. */
  get initial(): Rights | undefined {
    return this.#password === undefined ? 'all' : undefined;
  }

  /**
   * What a client may do from now on, by `AUTH <secret>`, `AUTH default <secret>` or `AUTH <queue uuid> <secret>`.
   * @throws {ReplyError} where the secret is wrong, or its address has tried too many
   */
  login(address: string, user: string | undefined, secret: Buffer): Rights {
    const now = Date.now();
    const wait = this.#attempts.waitFor(address, now);
    if (wait > 0) {
      throw new ReplyError(`ERR too many failed attempts from this address: try again in ${Math.ceil(wait / 1000)} s`);
    }
    const rights = this.#rightsOf(user, secret);
    if (rights !== undefined) return rights;
    this.#attempts.failed(address, now);
    if (user === undefined && this.#password === undefined) {
      throw new ReplyError('ERR AUTH <password> called without any password configured for the default user');
    }
    throw new ReplyError(WRONG);
  }

  #rightsOf(user: string | undefined, secret: Buffer): Rights | undefined {
    if (user === undefined || user === 'default') {
      if (this.#password !== undefined && timingSafeEqual(this.#password, digest(secret))) return 'all';
      // Client libraries that know a secret alone name the default user in HELLO.
      const access = this.#queues.accessBy(secret.toString());
      // As in Redis without a password: the default user is let in with any.
      return access ?? (user === 'default' && this.#password === undefined ? 'all' : undefined);
    }
    const queue = sensorIdFrom(user);
    return queue === undefined ? undefined : this.#queues.accessBy(secret.toString(), queue);
  }
}

function digest(secret: Buffer): Buffer {
  return createHash('sha256').update(secret).digest();
}
