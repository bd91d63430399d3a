import type { Actor, Registry, Role, Token } from '../../registry/port.ts';
import { tokenHash } from '../../registry/tokens.ts';
import { effectiveRole } from './roles.ts';

/** The use of a token is written at most so often, in ms. */
const NOTE_MS = 60_000;
const SERVER: Actor = { name: 'server' };

/** A token that works. */
export interface LiveToken extends Token {
  /** Of the token, or of its user where that is less; undefined where neither contains the other. */
  readonly effectiveRole: Role | undefined;
  /** Ends with the token, or when its user's rights change. */
  readonly signal: AbortSignal;
}

/** Finds tokens by their hashes, so that looking one up tells nothing about others, and notes their use. */
export class TokenAccess {
  readonly #registry: Pick<Registry, 'tokens' | 'tokenUses' | 'users'>;
  readonly #now: () => number;
  readonly #ends = new Map<string, AbortController>();
  readonly #unwatch: (() => void)[];

  constructor(registry: Pick<Registry, 'tokens' | 'tokenUses' | 'users'>, now: () => number) {
    this.#registry = registry;
    this.#now = now;
    this.#unwatch = [
      registry.tokens.watch(({ key, after }) => {
        this.#ended(key);
        if (after === undefined) void registry.tokenUses.remove(key, SERVER).catch(() => {});
      }),
      registry.users.watch(({ key, before, after }) => {
        if (before?.role === after?.role && before?.disabled === after?.disabled) return;
        for (const [token, { value }] of registry.tokens.entries()) if (value.user === key) this.#ended(token);
      }),
    ];
  }

  /** The token of a secret; undefined where there is none that works. Its use is noted. */
  use(secret: string, address: string): LiveToken | undefined {
    const key = tokenHash(secret);
    const token = this.#registry.tokens.get(key)?.value;
    if (token === undefined || this.isExpired(token)) return undefined;
    const owner = this.#registry.users.get(token.user)?.value;
    if (owner === undefined || owner.disabled === true) return undefined;
    this.#note(key, address);
    let end = this.#ends.get(key);
    if (end === undefined) {
      end = new AbortController();
      this.#ends.set(key, end);
    }
    return { ...token, effectiveRole: effectiveRole(owner.role, token.role), signal: end.signal };
  }

  isExpired({ expiresAt }: Token): boolean {
    return expiresAt !== undefined && expiresAt <= this.#now();
  }

  /** Ends the signals of tokens that have expired. */
  sweep(): void {
    for (const key of [...this.#ends.keys()]) {
      const token = this.#registry.tokens.get(key)?.value;
      if (token === undefined || this.isExpired(token)) this.#ended(key);
    }
  }

  close(): void {
    for (const stop of this.#unwatch) stop();
    for (const key of [...this.#ends.keys()]) this.#ended(key);
  }

  #note(key: string, address: string): void {
    const now = this.#now();
    const before = this.#registry.tokenUses.get(key)?.value;
    if (before !== undefined && now - before.at < NOTE_MS && before.address === address) return;
    void this.#registry.tokenUses.put(key, { at: now, address }, SERVER).catch(() => {});
  }

  #ended(key: string): void {
    this.#ends.get(key)?.abort();
    this.#ends.delete(key);
  }
}
