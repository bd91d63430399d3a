import type { Registry, Token } from '../../registry/port.ts';
import type { TokenView } from './people-schemas.ts';

/** What names a token: the beginning of its hash. */
function tokenId(key: string): string {
  return key.slice(0, 16);
}

/** The key of a token by its name; undefined where there is no such token, or `user` is given and it is another's. */
export function tokenKey(registry: Pick<Registry, 'tokens'>, id: string, user?: string): string | undefined {
  for (const [key, { value }] of registry.tokens.entries()) {
    if (tokenId(key) === id && (user === undefined || value.user === user)) return key;
  }
  return undefined;
}

/** A token as the interface shows it: without its secret, which is not kept. @param now ms since 1970 */
export function tokenView(registry: Pick<Registry, 'tokenUses'>, key: string, token: Token, now: number): TokenView {
  const { name, user, role, createdAt, expiresAt } = token;
  const use = registry.tokenUses.get(key)?.value;
  return {
    id: tokenId(key),
    name,
    user,
    role,
    createdAt,
    expiresAt: expiresAt ?? null,
    expired: expiresAt !== undefined && expiresAt <= now,
    lastUsedAt: use?.at ?? null,
    lastAddress: use?.address ?? null,
  };
}

/** Tokens as the interface shows them, the newest first. @param user only this user's */
export function tokenViews(registry: Pick<Registry, 'tokens' | 'tokenUses'>, now: number, user?: string): TokenView[] {
  return [...registry.tokens.entries()]
    .filter(([, { value }]) => user === undefined || value.user === user)
    .map(([key, { value }]) => tokenView(registry, key, value, now))
    .sort((a, b) => b.createdAt - a.createdAt || (a.id < b.id ? -1 : 1));
}
