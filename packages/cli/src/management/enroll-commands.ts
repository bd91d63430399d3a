import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { hostname } from 'node:os';
import { D4Error } from '@d4ts/protocol';
import type { EnrolmentAdded, EnrolmentList } from '@d4ts/server';
import { type Command, Option } from 'commander';
import { table } from '../table.ts';
import { countArgument, futureArgument } from './arguments.ts';
import { managementCommand } from './management-command.ts';
import { terminalText, timeText } from './terminal-text.ts';

const MAX_USES = 100;
const CLIENTS = ['d4', 'go', 'c'];

/** What sensors get that are added. */
interface SensorOptions {
  readonly name?: string;
  readonly tags?: string;
  readonly description?: string;
  readonly mail?: string;
  readonly type?: string;
  readonly approve?: true;
  readonly server?: string;
}

interface AddOptions extends SensorOptions {
  readonly uses?: number;
  readonly expires?: number;
}

interface ConfigOptions extends SensorOptions {
  readonly client: string;
  readonly out?: string;
}

/** Adds `d4 enroll …`. */
export function registerEnrollCommands(program: Command): void {
  const command = program
    .command('enroll')
    .description('add sensors: tokens with which they register themselves, configurations for them');

  managementCommand<[], AddOptions>(
    sensorOptions(command.command('add').description('make a token for a sensor; the sensor types the command shown'))
      .option('--uses <N>', 'how many sensors may use it (default: 1)', countArgument(1, MAX_USES))
      .option('--expires <WHEN>', 'until when it works, such as 2h, 7d or 2027-01-31 (default: 24h)', (text) =>
        futureArgument(text, Date.now()),
      ),
    async ({ api, show }, { uses, expires, ...options }) => {
      const added = await api.post<EnrolmentAdded>('/enrolments', {
        ...draftOf(options),
        ...(uses !== undefined && { maxUses: uses }),
        ...(expires !== undefined && { expiresAt: expires }),
      });
      await show(added, () => addedText(added, options.server !== undefined));
    },
  );

  managementCommand(
    command.command('list').description('the tokens, and which sensors have used them'),
    async ({ api, show }) => {
      const { items } = await api.get<EnrolmentList>('/enrolments');
      await show(items, () =>
        items.length === 0
          ? 'there are no enrolment tokens: make one with "d4 enroll add"\n'
          : table(
              ['TOKEN', 'STATE', 'NAME', 'TYPE', 'USED', 'BY', 'EXPIRES', 'MADE BY'],
              items.map(({ id, state, name, type, uses, maxUses, expiresAt, author }) => [
                id,
                state,
                terminalText(name) || '-',
                type,
                `${uses.length}/${maxUses}`,
                uses.map(({ sensor }) => sensor.slice(0, 8)).join(',') || '-',
                timeText(expiresAt),
                terminalText(author),
              ]),
            ),
      );
    },
  );

  managementCommand<[string]>(
    command
      .command('revoke')
      .description('end a token; sensors that have used it stay')
      .argument('<TOKEN>', 'as "d4 enroll list" names it'),
    async ({ api, show }, _options, id) => {
      const revoked = await api.delete<EnrolmentList['items'][number]>(`/enrolments/${encodeURIComponent(id)}`);
      await show(revoked, () => `token ${terminalText(id)} is revoked\n`);
    },
  );

  managementCommand<[], ConfigOptions>(
    sensorOptions(
      command
        .command('config')
        .description("register a new sensor and write its client's configuration directory, packed (.tar.gz)"),
    )
      .addOption(
        new Option('--client <KIND>', 'for d4 client, the Go client, or the C client with socat')
          .choices(CLIENTS)
          .default('d4'),
      )
      .option('-o, --out <FILE>', 'where to write it; it holds the key of the sensor'),
    async ({ api, show }, { client, out, ...options }) => {
      if (out === undefined) throw new D4Error('D4_USAGE', 'say where to write it: -o sensor.tar.gz');
      // Made first: without it there is no place for the key, and no use of a sensor.
      const file = newFile(out);
      try {
        for await (const chunk of api.download('/enrolments/configuration', { client, ...draftOf(options) })) {
          writeSync(file, chunk);
        }
      } catch (error) {
        rmSync(out);
        throw error;
      } finally {
        closeSync(file);
      }
      await show({ file: out }, () => `${terminalText(out)} is written: unpack it on the sensor and read its README\n`);
    },
  );
}

/** @param isServerGiven whether somebody has said how sensors reach the server */
function addedText({ enrolment, command }: EnrolmentAdded, isServerGiven: boolean): string {
  const { id, expiresAt, maxUses, approve, server } = enrolment;
  const often = maxUses === 1 ? 'once' : `${maxUses} times`;
  const leads = isServerGiven || !isLocalName(server) ? '' : ': if sensors reach it otherwise, say how with --server';
  return [
    `token ${id} works ${often}, until ${timeText(expiresAt)}; on the sensor:\n\n  ${command}\n\n`,
    `it leads to ${terminalText(server)}${leads}\n`,
    ...(approve ? [] : ['the sensor will have to be approved before it may send: d4 sensor approve UUID\n']),
    'the sensor needs the d4 command: docs/client.md, "Installing it on a sensor"\n',
  ].join('');
}

/** Whether other machines are likely not to know the server by this. @param server HOST:PORT */
function isLocalName(server: string): boolean {
  const host = server.replace(/:\d+$/, '');
  return host === hostname() || !/[.:]/.test(host) || /^(127\.|\[::1\]$)/.test(host);
}

/** @throws {D4Error} D4_USAGE */
function newFile(path: string): number {
  try {
    return openSync(path, 'wx', 0o600);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    const why =
      code === 'EEXIST'
        ? 'it is there already: name another file, or remove it'
        : code === 'ENOENT'
          ? 'there is no such folder'
          : `it cannot be written: ${error instanceof Error ? error.message : error}`;
    throw new D4Error('D4_USAGE', `-o ${path}: ${why}`, error);
  }
}

function sensorOptions(command: Command): Command {
  return command
    .option('--name <TEXT>', 'what people call the sensor')
    .option('--type <TYPE>', 'what it will send: a number, or the name of a meta type (default: 3)')
    .option('--server <HOST:PORT>', 'how the sensor reaches this server (default: as the server knows itself)')
    .option('--approve', 'it may send at once')
    .option('--tags <TAGS>', 'words to find it by, with commas between them')
    .option('--description <TEXT>', 'what it is, for people')
    .option('--mail <TEXT>', 'the address of who looks after it');
}

function draftOf({ tags, ...options }: SensorOptions): object {
  const words = tags?.split(',').flatMap((tag) => (tag.trim() === '' ? [] : [tag.trim()]));
  const { name, type, server, approve, description, mail } = options;
  const draft = { name, type, server, approve, description, mail, tags: words };
  return Object.fromEntries(Object.entries(draft).filter(([, value]) => value !== undefined));
}
