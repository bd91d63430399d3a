import { isIPv6 } from 'node:net';
import { networkOf } from '../ip-network.ts';

/** Wrong passwords in a row for one user from one address, before that pair has to wait. */
const PAIR_FREE = 5;
/** The first wait of a pair, which doubles with each further failure, up to the longest; ms. */
const PAIR_FIRST_WAIT_MS = 30_000;
const PAIR_LONGEST_WAIT_MS = 15 * 60_000;

/** Failures of one address, whoever it tries to be, before it has one attempt each so many ms. */
const ADDRESS_FREE = 20;
const ADDRESS_STEP_MS = 30_000;

/** Failures for one user, wherever from, before addresses that are new to the user have one attempt each so many ms. */
const USER_FREE = 50;
const USER_STEP_MS = 10_000;

/** Failures are forgotten when so long nothing came, ms. */
const FORGET_MS = 24 * 60 * 60_000;
/** Entries of each kind; beyond, the one that failed longest ago is forgotten. */
const MAX_ENTRIES = 10_000;
/** Addresses that each user has signed in from, the latest; they do not wait for what others do in the user's name. */
const MAX_KNOWN_ADDRESSES = 100;

/** Somebody who has to wait after failures. Times are ms since 1970. */
export interface Lockout {
  /** A user from one address; an address, whoever it tries to be; a user, from addresses that are new. */
  readonly kind: 'user-and-address' | 'address' | 'user';
  readonly mail: string | undefined;
  /** An IPv6 address counts with its /64. */
  readonly address: string | undefined;
  readonly failures: number;
  readonly lastFailureAt: number;
  /** The next attempt is taken from then on. */
  readonly until: number;
}

interface Failures {
  count: number;
  lastAt: number;
  until: number;
  readonly mail: string | undefined;
  readonly address: string | undefined;
}

/**
 * Holds back who guesses passwords. Three counts: for a user from an address (the usual mistake: short waits that
 * double), for an address, and, slowly, for a user. The last one cannot lock anybody out for long: it lets an attempt
 * through each 10 s, and it is not for addresses that the user has signed in from, nor for the server's own machine.
 * Attempts that are held back are not looked at and do not count. Time comes from the caller, ms since 1970.
 */
export class LoginGuard {
  readonly #pairs = new Map<string, Failures>();
  readonly #addresses = new Map<string, Failures>();
  readonly #users = new Map<string, Failures>();
  readonly #known = new Map<string, Set<string>>();

  /** How long until a password of this user from this address is looked at, in ms; 0 for now. */
  waitFor(mail: string, address: string, now: number): number {
    const group = addressGroup(address);
    const waits = [this.#pairs.get(pairKey(mail, group)), this.#addresses.get(group)];
    if (!isLoopback(address) && this.#known.get(mail)?.has(group) !== true) waits.push(this.#users.get(mail));
    return Math.max(0, ...waits.map((failures) => (failures === undefined ? 0 : failures.until - now)));
  }

  /** Notes a wrong password. @returns what is locked by it that was not before */
  failed(mail: string, address: string, now: number): Lockout[] {
    const group = addressGroup(address);
    const pair = count(this.#pairs, pairKey(mail, group), { mail, address: group }, now);
    const one = count(this.#addresses, group, { mail: undefined, address: group }, now);
    const user = count(this.#users, mail, { mail, address: undefined }, now);
    const doublings = Math.min(20, pair.count - PAIR_FREE);
    if (doublings >= 0) pair.until = now + Math.min(PAIR_LONGEST_WAIT_MS, PAIR_FIRST_WAIT_MS * 2 ** doublings);
    if (one.count >= ADDRESS_FREE) one.until = now + ADDRESS_STEP_MS;
    if (user.count >= USER_FREE) user.until = now + USER_STEP_MS;
    return [
      ...(pair.count === PAIR_FREE ? [lockoutOf('user-and-address', pair)] : []),
      ...(one.count === ADDRESS_FREE ? [lockoutOf('address', one)] : []),
      ...(user.count === USER_FREE ? [lockoutOf('user', user)] : []),
    ];
  }

  /** Notes that the user has signed in from the address, now or before a restart. */
  succeeded(mail: string, address: string): void {
    const group = addressGroup(address);
    this.#pairs.delete(pairKey(mail, group));
    const known = this.#known.get(mail) ?? new Set();
    known.delete(group);
    known.add(group);
    this.#known.set(mail, known);
    if (known.size > MAX_KNOWN_ADDRESSES) deleteFirst(known);
  }

  /** Who has to wait now; the latest failure first. */
  lockouts(now: number): Lockout[] {
    const waiting = (kind: Lockout['kind'], all: Map<string, Failures>) =>
      [...all.values()].filter(({ until }) => until > now).map((failures) => lockoutOf(kind, failures));
    return [
      ...waiting('user-and-address', this.#pairs),
      ...waiting('address', this.#addresses),
      ...waiting('user', this.#users),
    ].sort((a, b) => b.lastFailureAt - a.lastFailureAt);
  }

  /**
   * Forgets failures: those of a user, of an address, or of both together; all if neither is given.
   * @returns how many had to wait
   */
  clear({ mail, address }: { mail?: string | undefined; address?: string | undefined }, now: number): number {
    const group = address === undefined ? undefined : addressGroup(address);
    let cleared = 0;
    for (const all of [this.#pairs, this.#addresses, this.#users]) {
      for (const [key, failures] of all) {
        const isUsers = mail === undefined || failures.mail === mail;
        const isAddress = group === undefined || failures.address === group;
        if (!isUsers || !isAddress) continue;
        if (failures.until > now) cleared += 1;
        all.delete(key);
      }
    }
    return cleared;
  }
}

function count(
  all: Map<string, Failures>,
  key: string,
  who: Pick<Failures, 'mail' | 'address'>,
  now: number,
): Failures {
  const before = all.get(key);
  const isOld = before === undefined || now - before.lastAt > FORGET_MS;
  const failures: Failures = { ...who, count: isOld ? 1 : before.count + 1, lastAt: now, until: 0 };
  all.delete(key);
  all.set(key, failures);
  if (all.size > MAX_ENTRIES) deleteFirst(all);
  return failures;
}

function deleteFirst(all: { keys(): Iterator<string>; delete(key: string): boolean }): void {
  const first = all.keys().next();
  if (first.done !== true) all.delete(first.value);
}

function lockoutOf(kind: Lockout['kind'], { mail, address, count, lastAt, until }: Failures): Lockout {
  return { kind, mail, address, failures: count, lastFailureAt: lastAt, until };
}

function pairKey(mail: string, group: string): string {
  return `${group} ${mail}`;
}

/** Whose addresses count together: those of one IPv6 network are one site. */
function addressGroup(address: string): string {
  return isIPv6(address) && !isLoopback(address) ? networkOf(address, 64) : address;
}

/** Whether an address is the server's own machine. */
function isLoopback(address: string): boolean {
  return address === '::1' || address.startsWith('127.');
}
