import { formatHostPort } from './host-port.ts';
import { sourceText } from './load.ts';
import { allSettings, type Config } from './schema.ts';

/** A setting's value; an address as HOST:PORT. */
type SettingValue = string | number | boolean;

/** One setting as it holds, for people and scripts. */
export interface SettingReport {
  readonly name: string;
  /** Undefined where it is not set; a secret's is masked. */
  readonly value: SettingValue | undefined;
  /** `default`, the file, the variable or the flag. */
  readonly source: string;
  readonly description: string;
}

/** What holds and where each value came from, in the schema's order. */
export function describeConfig(config: Config): SettingReport[] {
  return allSettings().map((setting) => {
    const source = config.sources.get(setting.name);
    return {
      name: setting.name,
      value: setting.secret ? masked(valueAt(config, setting.path)) : valueAt(config, setting.path),
      source: source === undefined ? 'default' : sourceText(source),
      description: setting.description,
    };
  });
}

function masked(value: SettingValue | undefined): string | undefined {
  return value === undefined ? undefined : '********';
}

function valueAt(config: Config, path: readonly string[]): SettingValue | undefined {
  let value: unknown = config;
  for (const key of path) {
    value = typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined;
  }
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return value;
  if (typeof value === 'object' && value !== null && 'host' in value && 'port' in value) {
    return formatHostPort({ host: String(value.host), port: Number(value.port) });
  }
  return undefined;
}
