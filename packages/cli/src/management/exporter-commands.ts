import { readFileSync } from 'node:fs';
import { isAbsolute, resolve } from 'node:path';
import { D4Error, type SensorId } from '@d4ts/protocol';
import type { ExporterSecrets, ExporterView } from '@d4ts/server';
import type { Command } from 'commander';
import { secretsOf } from '../exporter-options.ts';
import { timeArgument, uuidListArgument } from './arguments.ts';
import { exporterTable, exporterText } from './exporter-text.ts';
import { managementCommand } from './management-command.ts';
import { terminalText } from './terminal-text.ts';

interface AddOptions {
  readonly url?: string;
  readonly sensors?: SensorId[];
  readonly description?: string;
  readonly from?: number;
  readonly paused?: boolean;
}

interface EditOptions {
  readonly url?: string;
  readonly sensors?: SensorId[] | 'all';
  readonly description?: string;
}

const ADD_HELP = `
Settings, as in d4.yaml (docs/exporters.md):
  udp     host= port= rate= every-line=
  tcp     host= port= keep-alive=
  tls     host= port= keep-alive= verify= ca=
  unix    path= stream= newline=
  syslog  transport= host= port= path= stream= rate= keep-alive= verify= ca= level= facility= rfc3164=
  file    path= files=
  http    url= raw= verify= ca= header="NAME: VALUE" (may be given again; or D4_EXPORT_HEADERS, one on each line)
  d4      host= port= sensor= verify= ca= key=@FILE
Paths are on the server's machine; relative ones are taken from the present folder, and with --url refused.

  d4 exporter add maltrail maltrail udp host=192.0.2.1 port=8337`;

/** Adds `d4 exporter …`. */
export function registerExporterCommands(program: Command): void {
  const exporter = program.command('exporter').description('send records on from within the server, without a queue');
  const at = (name: string, description: string) =>
    exporter.command(name).description(description).argument('<NAME>', "the exporter's name");

  managementCommand<[string, string, string, string[]], AddOptions>(
    at('add', 'make an exporter, and start it')
      .argument('<TYPE>', 'the number of an accepted type, or the name of an accepted meta type')
      .argument('<KIND>', 'udp, tcp, tls, unix, syslog, file, http or d4')
      .argument('[SETTING=VALUE...]', 'where to, and how')
      .option('--sensors <UUID,UUID…>', 'the records of these sensors alone (default: all)', uuidListArgument)
      .option('--description <TEXT>', 'what it is for')
      .option(
        '--from <TIME>',
        'begin with the records of that time: 2026-10-01T08:30Z, 24h, 7d (default: now)',
        (text) => timeArgument(text, Date.now()),
      )
      .option('--paused', 'do not start it')
      .addHelpText('after', ADD_HELP),
    async ({ api, show }, { url, sensors, description, from, paused }, name, type, kind, words) => {
      const { settings, secrets } = readSettings(words, url !== undefined);
      const { parseTargetSettings } = await import('@d4ts/server');
      const target = parseTargetSettings(kind, settings);
      const draft = { name, type, target, secrets, sensors, description, from, paused };
      const made = await api.post<ExporterView>('/exporters', draft);
      await show(made, () => exporterText(made));
    },
  );

  managementCommand(exporter.command('list').description('all exporters, and how they are'), async ({ api, show }) => {
    const exporters = await api.list<ExporterView>('/exporters');
    await show(exporters, () => exporterTable(exporters));
  });

  managementCommand<[string]>(at('show', 'an exporter'), async ({ api, show }, _options, name) => {
    const shown = await api.get<ExporterView>(`/exporters/${encodeURIComponent(name)}`);
    await show(shown, () => exporterText(shown));
  });

  managementCommand<[string, string[]], EditOptions>(
    at('edit', 'change an exporter; what is not delivered goes where the change says')
      .argument('[SETTING=VALUE...]', 'settings as for "add", the others stay; SETTING= takes one out')
      .option('--sensors <UUID,UUID…>', 'the records of these sensors alone, or "all"', (text) =>
        text === 'all' ? text : uuidListArgument(text),
      )
      .option('--description <TEXT>', 'what it is for'),
    async ({ api, show }, { url, sensors, description }, name, words) => {
      const { settings, secrets } = readSettings(words, url !== undefined);
      const hasSecrets = Object.keys(secrets).length > 0;
      if (settings.size === 0 && !hasSecrets && sensors === undefined && description === undefined) {
        throw new D4Error('D4_USAGE', 'nothing to change was given: SETTING=VALUE, --sensors or --description');
      }
      const path = `/exporters/${encodeURIComponent(name)}`;
      const { target: before, revision } = await api.get<ExporterView>(path);
      const { parseTargetSettings } = await import('@d4ts/server');
      const target = settings.size === 0 ? undefined : parseTargetSettings(before.kind, settings, before);
      const group = sensors === 'all' ? null : sensors;
      const change = { revision, target, sensors: group, description, ...(hasSecrets && { secrets }) };
      const changed = await api.patch<ExporterView>(path, change);
      await show(changed, () => exporterText(changed));
    },
  );

  for (const [what, description, said] of [
    ['pause', 'stop an exporter; the journal keeps what it has not delivered, within its bounds', 'is paused'],
    ['resume', 'let an exporter go on where it stopped', 'goes on'],
  ] as const) {
    managementCommand<[string]>(at(what, description), async ({ api, show }, _options, name) => {
      const changed = await api.post<ExporterView>(`/exporters/${encodeURIComponent(name)}/${what}`);
      await show(changed, () => `exporter ${terminalText(name)} ${said}\n`);
    });
  }

  managementCommand<[string]>(
    at('remove', 'remove an exporter, and its place in the journal'),
    async ({ api, show }, _options, name) => {
      await api.delete(`/exporters/${encodeURIComponent(name)}`);
      await show({ name, removed: true }, () => `exporter ${terminalText(name)} is removed\n`);
    },
  );
}

/** Settings that are paths on the server's machine. */
const PATHS: ReadonlySet<string> = new Set(['path', 'ca']);

/**
 * Reads `setting=value` words; headers and the key are secrets.
 * @param isElsewhere whether the server runs on another machine
 */
function readSettings(
  words: readonly string[],
  isElsewhere: boolean,
): { settings: Map<string, string>; secrets: ExporterSecrets } {
  const settings = new Map<string, string>();
  const header: string[] = [];
  let key: string | undefined;
  for (const word of words) {
    const equals = word.indexOf('=');
    if (equals < 1) throw new D4Error('D4_USAGE', `"${word}": expected SETTING=VALUE, such as host=192.0.2.1`);
    const [name, value] = [word.slice(0, equals), word.slice(equals + 1)];
    if (name === 'header') header.push(value);
    else if (name === 'key') key = value.startsWith('@') ? readKey(value.slice(1)) : value;
    else settings.set(name, PATHS.has(name) && value !== '' ? absolute(word, value, isElsewhere) : value);
  }
  const secrets = secretsOf({ header }, process.env.D4_EXPORT_HEADERS);
  return { settings, secrets: key === undefined ? secrets : { ...secrets, key } };
}

/** The server would take a relative path from where it was started. */
function absolute(word: string, path: string, isElsewhere: boolean): string {
  if (isElsewhere && !isAbsolute(path)) {
    throw new D4Error('D4_USAGE', `"${word}": with --url, give the whole path of the file on the server's machine`);
  }
  return resolve(path);
}

/** As a sensor's configuration directory has it: without the newline at its end. */
function readKey(file: string): string {
  try {
    return readFileSync(file, 'utf8').replace(/\r?\n$/, '');
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new D4Error('D4_USAGE', `key=@${file}: it cannot be read: ${why}`, error);
  }
}
