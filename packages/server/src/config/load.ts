import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { D4Error } from '@d4ts/protocol';
import { Compile } from 'typebox/compile';
import Value from 'typebox/value';
import { parseDocument } from 'yaml';
import { type DeclaredExporter, parseExporters } from './declared-exporters.ts';
import { parseHostPort } from './host-port.ts';
import { allSettings, type Config, type Setting, type SettingSource, SettingsSchema } from './schema.ts';

/** Where the values come from, the strongest first: flags, variables, `<home>/d4.yaml`, defaults. */
export interface ConfigInputs {
  /** Values of flags by their setting's name (`default-key`); undefined where a flag was not given. */
  readonly flags: Readonly<Record<string, string | undefined>>;
  /** The environment. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** What relative paths start from: the working directory. */
  readonly directory: string;
}

interface Found {
  readonly value: unknown;
  readonly source: SettingSource;
}

/** The name of the configuration file within the home. */
const CONFIG_FILE = 'd4.yaml';

/** The section of d4.yaml that is no setting: the exporters by their names. */
const EXPORTERS = 'exporters';

/** Variables of the command line, which are no settings of the server. */
const OTHER_VARIABLES: ReadonlySet<string> = new Set(['D4_DEBUG', 'D4_URL', 'D4_TOKEN', 'D4_EXPORT_HEADERS']);

/** What Kubernetes sets by itself for a service that is named `d4`. */
const SERVICE_VARIABLE = /^D4_(SERVICE|PORT)(_|$)/;

/**
 * Finds out what holds.
 * @throws {D4Error} D4_CONFIG, naming file and key, variable or flag, the value, and what is allowed
 */
export function loadConfig(inputs: ConfigInputs): Config {
  const settings = allSettings();
  const flags = valuesOfFlags(inputs.flags, settings);
  const variables = valuesOfVariables(inputs.environment, settings);
  const home = resolve(inputs.directory, homeOf(settings, flags, variables));
  const content = parseFile(join(home, CONFIG_FILE));
  const file = valuesOfFile(join(home, CONFIG_FILE), content, settings);

  const values: Record<string, unknown> = {};
  const sources = new Map<string, SettingSource>();
  for (const setting of settings) {
    const found = flags.get(setting.name) ?? variables.get(setting.name) ?? file.get(setting.name);
    const value = found?.value ?? setting.defaultValue;
    sources.set(setting.name, found?.source ?? { kind: 'default' });
    if (value !== undefined) setAt(values, setting.path, value);
  }
  const parsed = Compile(SettingsSchema).Parse(values);
  if (parsed.mode === 'shared-secret' && parsed.defaultKey === undefined) {
    throw new D4Error(
      'D4_CONFIG',
      'mode shared-secret needs the key that the sensors share: give it with --default-key, D4_DEFAULT_KEY or default-key in d4.yaml',
    );
  }
  return {
    ...parsed,
    home,
    listen: parseHostPort(parsed.listen),
    web: parseHostPort(parsed.web),
    redis: parseHostPort(parsed.redis),
    exporters: exportersOf(join(home, CONFIG_FILE), content),
    sources,
  };
}

/** A source in words: `--listen`, `D4_LISTEN`, `/var/lib/d4/d4.yaml`, `default`. */
export function sourceText(source: SettingSource): string {
  switch (source.kind) {
    case 'default':
      return 'default';
    case 'file':
      return source.file;
    case 'variable':
      return source.variable;
    case 'flag':
      return source.flag;
  }
}

function homeOf(settings: readonly Setting[], flags: Map<string, Found>, variables: Map<string, Found>): string {
  const fallback = settings.find((setting) => setting.name === 'home')?.defaultValue;
  return String((flags.get('home') ?? variables.get('home'))?.value ?? fallback);
}

function valuesOfFlags(flags: ConfigInputs['flags'], settings: readonly Setting[]): Map<string, Found> {
  const found = new Map<string, Found>();
  for (const setting of settings) {
    const text = flags[setting.name];
    if (setting.flag === undefined || text === undefined) continue;
    const source = { kind: 'flag', flag: setting.flag } as const;
    found.set(setting.name, { value: checked(fromText(text, setting), setting, source), source });
  }
  return found;
}

function valuesOfVariables(environment: ConfigInputs['environment'], settings: readonly Setting[]): Map<string, Found> {
  const byVariable = new Map(settings.map((setting) => [setting.variable, setting]));
  const found = new Map<string, Found>();
  for (const [variable, text] of Object.entries(environment)) {
    if (!variable.startsWith('D4_') || text === undefined || text === '') continue;
    if (OTHER_VARIABLES.has(variable) || SERVICE_VARIABLE.test(variable)) continue;
    const setting = byVariable.get(variable);
    if (setting === undefined) {
      throw new D4Error(
        'D4_CONFIG',
        `the environment variable ${variable} is no setting; unset it, or use one of: ${[...byVariable.keys()].join(', ')}`,
      );
    }
    const source = { kind: 'variable', variable } as const;
    found.set(setting.name, { value: checked(fromText(text, setting), setting, source), source });
  }
  return found;
}

function exportersOf(file: string, content: object): readonly DeclaredExporter[] {
  const section: unknown = Reflect.get(content, EXPORTERS);
  return section === undefined || section === null ? [] : parseExporters(section, file);
}

function valuesOfFile(file: string, content: object, settings: readonly Setting[]): Map<string, Found> {
  const found = new Map<string, Found>();
  const source = { kind: 'file', file } as const;
  const byName = new Map(settings.filter((setting) => setting.name !== 'home').map((each) => [each.name, each]));

  const walk = (mapping: object, prefix: string): void => {
    for (const [key, value] of Object.entries(mapping)) {
      const name = `${prefix}${key}`;
      if (name === EXPORTERS) continue;
      const setting = byName.get(name);
      if (setting !== undefined) {
        found.set(name, { value: checked(value, setting, source), source });
      } else if ([...byName.keys()].some((each) => each.startsWith(`${name}.`))) {
        if (!isMapping(value)) {
          throw new D4Error(
            'D4_CONFIG',
            `${file}: "${name}" is ${shown(value)}, but it is a section: a mapping of keys`,
          );
        }
        walk(value, `${name}.`);
      } else {
        throw new D4Error('D4_CONFIG', `${file}: ${unknownKey(name, prefix, [...byName.keys(), EXPORTERS])}`);
      }
    }
  };
  walk(content, '');
  return found;
}

function parseFile(file: string): object {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    // That a home is no directory is said when it is opened.
    if (code === 'ENOENT' || code === 'ENOTDIR') return {};
    const why = error instanceof Error ? error.message : String(error);
    throw new D4Error('D4_CONFIG', `${file} cannot be read: ${why}`, error);
  }
  const document = parseDocument(text);
  const problem = document.errors[0];
  if (problem !== undefined) {
    throw new D4Error(
      'D4_CONFIG',
      `${file} is not YAML: ${problem.message}An address that starts with a bracket needs quotes.`,
      problem,
    );
  }
  const content: unknown = document.toJS();
  if (content === null || content === undefined) return {};
  if (!isMapping(content)) {
    throw new D4Error(
      'D4_CONFIG',
      `${file} is ${shown(content)}, but a mapping of keys such as "listen: 127.0.0.1:4443" is expected`,
    );
  }
  return content;
}

function unknownKey(name: string, prefix: string, names: readonly string[]): string {
  if (name === 'home') return '"home" cannot be set here, for the file lies in the home; use --home or D4_HOME';
  const level = names
    .filter((each) => each.startsWith(prefix))
    .map((each) => each.slice(prefix.length).split('.', 1)[0] ?? each);
  return `"${name}" is no setting; allowed here: ${[...new Set(level)].join(', ')}`;
}

function checked(value: unknown, setting: Setting, source: SettingSource): unknown {
  const where = source.kind === 'file' ? `${source.file}: "${setting.name}"` : `${sourceText(source)}`;
  if (!Value.Check(setting.schema, value)) {
    const what = setting.secret ? 'not a valid value' : shown(value);
    throw new D4Error('D4_CONFIG', `${where} is ${what}; allowed: ${allowedValues(setting)}`);
  }
  if (setting.hostPort) {
    try {
      parseHostPort(String(value));
    } catch (error) {
      throw new D4Error('D4_CONFIG', `${where}: ${error instanceof Error ? error.message : String(error)}`, error);
    }
  }
  return value;
}

/** What a setting takes, in words. */
export function allowedValues(setting: Setting): string {
  const schema: { enum?: readonly unknown[]; type?: unknown; minimum?: number; maximum?: number; maxLength?: number } =
    setting.schema;
  if (setting.form !== undefined) return setting.form;
  if (schema.enum !== undefined) return schema.enum.join(', ');
  if (schema.type === 'integer') return `a whole number from ${schema.minimum} to ${schema.maximum}`;
  if (schema.type === 'boolean') return 'true, false';
  if (setting.hostPort) return 'HOST:PORT, in quotes in YAML where it starts with a bracket';
  return schema.maxLength === undefined ? 'text that is not empty' : `text of 1 to ${schema.maxLength} characters`;
}

function fromText(text: string, setting: Setting): unknown {
  const { type }: { type?: unknown } = setting.schema;
  if (type === 'integer' && /^[0-9]+$/.test(text)) return Number(text);
  if (type === 'boolean' && (text === 'true' || text === 'false')) return text === 'true';
  return text;
}

function shown(value: unknown): string {
  return value === undefined ? 'nothing' : JSON.stringify(value);
}

function isMapping(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function setAt(target: Record<string, unknown>, path: readonly string[], value: unknown): void {
  const [key, ...rest] = path;
  if (key === undefined) return;
  if (rest.length === 0) {
    target[key] = value;
    return;
  }
  const section = target[key];
  const next: Record<string, unknown> = isMapping(section) ? { ...section } : {};
  setAt(next, rest, value);
  target[key] = next;
}
