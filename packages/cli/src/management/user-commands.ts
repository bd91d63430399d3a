import { D4Error } from '@d4ts/protocol';
import type { LockoutView, UserAdded, UserView } from '@d4ts/server';
import { type Command, Option } from 'commander';
import { table } from '../table.ts';
import { localPassword } from './local-password.ts';
import { managementCommand } from './management-command.ts';
import { secretFrom } from './secret-file.ts';
import { terminalText, timeText } from './terminal-text.ts';

const ROLES = ['admin', 'user', 'viewer', 'sensor_register'];
const MAIL_NOTE = 'the mail address that the user signs in with';

interface PasswordOptions {
  readonly passwordFile?: string;
  readonly keepPassword?: boolean;
}

/** Adds `d4 user …`. */
export function registerUserCommands(program: Command): void {
  const user = program.command('user').description('who may sign in, and what they may do');

  managementCommand<[string], PasswordOptions & { role: string }>(
    passwordOptions(
      user
        .command('add')
        .description('add a user; without --password-file a password is made and shown')
        .argument('<MAIL>', MAIL_NOTE)
        .addOption(roleOption().makeOptionMandatory()),
    ),
    async ({ api, show }, { role, ...options }, mail) => {
      const added = await api.post<UserAdded>('/users', { mail, role, ...(await passwordOf(options)) });
      await show(added, () => `user ${terminalText(added.user.mail)} (${role}) is added\n${passwordText(added)}`);
    },
  );

  managementCommand(user.command('list').description('all users'), async ({ api, show }) => {
    const users = await api.list<UserView>('/users');
    await show(users, () =>
      table(
        ['USER', 'ROLE', 'STATE', 'SIGNED IN', 'TOKENS', 'LAST USE'],
        users.map((each) => [
          terminalText(each.mail),
          each.role,
          stateText(each),
          `${each.sessions}`,
          `${each.tokens}`,
          timeText(each.lastUsedAt),
        ]),
      ),
    );
  });

  managementCommand<[string], { role?: string; disable?: boolean; enable?: boolean }>(
    user
      .command('edit')
      .description('change the role of a user, or disable the user; sessions end')
      .argument('<MAIL>', MAIL_NOTE)
      .addOption(roleOption())
      .addOption(new Option('--disable', 'neither signing in nor tokens work').conflicts('enable'))
      .option('--enable', 'they work again'),
    async ({ api, show }, { role, disable, enable }, mail) => {
      if (role === undefined && disable !== true && enable !== true) {
        throw new D4Error('D4_USAGE', 'say what to change: --role, --disable or --enable');
      }
      const change = { role, ...(disable === true && { disabled: true }), ...(enable === true && { disabled: false }) };
      const changed = await api.patch<UserView>(`/users/${encodeURIComponent(mail)}`, change);
      await show(
        changed,
        () => `user ${terminalText(changed.mail)} is changed: ${changed.role}, ${stateText(changed)}\n`,
      );
    },
  );

  managementCommand<[string]>(
    user.command('remove').description('remove a user with all sessions and tokens').argument('<MAIL>', MAIL_NOTE),
    async ({ api, show }, _options, mail) => {
      await api.delete(`/users/${encodeURIComponent(mail)}`);
      await show({ mail, removed: true }, () => `user ${terminalText(mail)} is removed\n`);
    },
  );

  managementCommand<[string], PasswordOptions & { local?: boolean; home?: string; url?: string }>(
    passwordOptions(
      user
        .command('password')
        .description('give a user another password; sessions end, lock-outs are forgotten')
        .argument('<MAIL>', MAIL_NOTE)
        .option('--local', 'on the machine of the server, whether it runs or not: enables the user too'),
    ),
    async (context, { local, home, url, ...options }, mail) => {
      if (local === true) {
        if (url !== undefined) throw new D4Error('D4_USAGE', '--local is for this machine: use it without --url');
        if (options.passwordFile !== undefined) throw new D4Error('D4_USAGE', '--local makes a password by itself');
        await localPassword(context, mail, home);
        return;
      }
      const path = `/users/${encodeURIComponent(mail)}/password`;
      const changed = await context.api.post<UserAdded>(path, await passwordOf(options));
      await context.show(
        changed,
        () => `user ${terminalText(changed.user.mail)} has another password\n${passwordText(changed)}`,
      );
    },
  );

  managementCommand<[string]>(
    user.command('sign-out').description('end all sessions of a user').argument('<MAIL>', MAIL_NOTE),
    async ({ api, show }, _options, mail) => {
      const ended = await api.delete<{ sessions: number }>(`/users/${encodeURIComponent(mail)}/sessions`);
      await show(ended, () => `${ended.sessions} sessions of ${terminalText(mail)} are ended\n`);
    },
  );

  managementCommand(
    user.command('lockouts').description('who has to wait after wrong passwords and unknown tokens'),
    async ({ api, show }) => {
      const { items } = await api.get<{ items: LockoutView[] }>('/lockouts');
      await show(items, () =>
        items.length === 0
          ? 'nobody is locked out\n'
          : table(
              ['LOCKED', 'USER', 'ADDRESS', 'FAILURES', 'UNTIL'],
              items.map((each) => [
                each.kind,
                terminalText(each.mail ?? '-'),
                each.address ?? '-',
                `${each.failures}`,
                timeText(each.until),
              ]),
            ),
      );
    },
  );

  managementCommand<[string | undefined], { address?: string; all?: boolean }>(
    user
      .command('unlock')
      .description('forget the failures of a user, of an address, or of all')
      .argument('[MAIL]', MAIL_NOTE)
      .option('--address <ADDRESS>', 'those from this address')
      .option('--all', 'everybody'),
    async ({ api, show }, { address, all }, mail) => {
      if (mail === undefined && address === undefined && all !== true) {
        throw new D4Error('D4_USAGE', 'say whom to unlock: a mail address, --address, or --all');
      }
      const query = new URLSearchParams({
        ...(mail !== undefined && { mail }),
        ...(address !== undefined && { address }),
      });
      const cleared = await api.delete<{ lockouts: number }>(`/lockouts?${query}`);
      await show(cleared, () => `${cleared.lockouts} lock-outs are cleared\n`);
    },
  );
}

function roleOption(): Option {
  return new Option('--role <ROLE>', 'what the user may do').choices(ROLES);
}

function passwordOptions(command: Command): Command {
  return command
    .option('--password-file <FILE>', 'read the password from a file, or from standard input with -')
    .option('--keep-password', 'it need not be changed at the next login');
}

async function passwordOf({ passwordFile, keepPassword }: PasswordOptions): Promise<object> {
  return {
    ...(passwordFile !== undefined && { password: await secretFrom('--password-file', passwordFile) }),
    ...(keepPassword === true && { mustChangePassword: false }),
  };
}

function passwordText({ user, password }: UserAdded): string {
  const later = user.mustChangePassword ? 'to be changed at the next login' : 'not to be changed';
  return password === null ? '' : `password (not shown again, ${later}): ${password}\n`;
}

function stateText({ disabled, locked, mustChangePassword }: UserView): string {
  if (disabled) return 'disabled';
  if (locked) return 'locked';
  return mustChangePassword ? 'password to be changed' : 'active';
}
