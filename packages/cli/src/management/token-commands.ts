import { D4Error } from '@d4ts/protocol';
import type { TokenAdded, TokenView } from '@d4ts/server';
import { type Command, Option } from 'commander';
import { table } from '../table.ts';
import { futureArgument } from './arguments.ts';
import type { CommandContext } from './management-command.ts';
import { managementCommand } from './management-command.ts';
import { terminalText, timeText } from './terminal-text.ts';

const ROLES = ['admin', 'user', 'viewer', 'sensor_register'];

/** Adds `d4 token …`. */
export function registerTokenCommands(program: Command): void {
  const token = program.command('token').description('what programs are let in with');

  managementCommand<[string], { user: string; role: string; expires?: number }>(
    token
      .command('add')
      .description('make a token for a user; it is shown this once')
      .argument('<NAME>', 'what it is for')
      .requiredOption('--user <MAIL>', 'whose it is')
      .addOption(
        new Option('--role <ROLE>', 'what it may do, at most what the user may').choices(ROLES).makeOptionMandatory(),
      )
      .option('--expires <WHEN>', 'until when it works, such as 90d or 2027-01-31; for ever if not given', (text) =>
        futureArgument(text, Date.now()),
      ),
    async ({ api, show }, { user, role, expires }, name) => {
      const draft = { name, role, ...(expires !== undefined && { expiresAt: expires }) };
      const added = await api.post<TokenAdded>(`/users/${encodeURIComponent(user)}/tokens`, draft);
      await show(added, () => `token ${added.token.id} of ${terminalText(user)} (not shown again): ${added.secret}\n`);
    },
  );

  managementCommand<[], { user?: string }>(
    token
      .command('list')
      .description('all tokens; with a token of no administrator, those of its user')
      .option('--user <MAIL>', 'only those of this user'),
    async (context, { user }) => {
      const all = await tokens(context);
      const items = user === undefined ? all : all.filter((each) => each.user === user.toLowerCase());
      await context.show(items, () =>
        items.length === 0
          ? 'there are no tokens\n'
          : table(
              ['TOKEN', 'NAME', 'USER', 'ROLE', 'EXPIRES', 'LAST USE', 'FROM'],
              items.map((each) => [
                each.id,
                terminalText(each.name),
                terminalText(each.user),
                each.role,
                each.expired ? 'expired' : timeText(each.expiresAt),
                timeText(each.lastUsedAt),
                each.lastAddress ?? '-',
              ]),
            ),
      );
    },
  );

  managementCommand<[string]>(
    token.command('revoke').description('end a token').argument('<TOKEN>', 'as "d4 token list" names it'),
    async ({ api, show }, _options, id) => {
      const path = `tokens/${encodeURIComponent(id)}`;
      await orForMe(
        () => api.delete(`/${path}`),
        () => api.delete(`/me/${path}`),
      );
      await show({ id, revoked: true }, () => `token ${terminalText(id)} is revoked\n`);
    },
  );
}

async function tokens({ api }: CommandContext): Promise<TokenView[]> {
  const { items } = await orForMe(
    () => api.get<{ items: TokenView[] }>('/tokens'),
    () => api.get<{ items: TokenView[] }>('/me/tokens'),
  );
  return items;
}

/** What an administrator does for everybody, others do for themselves. */
async function orForMe<T>(forAll: () => Promise<T>, forMe: () => Promise<T>): Promise<T> {
  try {
    return await forAll();
  } catch (error) {
    if (error instanceof D4Error && error.code === 'D4_FORBIDDEN') return forMe();
    throw error;
  }
}
