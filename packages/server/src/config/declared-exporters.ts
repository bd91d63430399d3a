import { D4Error, isMetaTypeName, parseSensorId, type SensorId } from '@d4ts/protocol';
import type { TSchema } from 'typebox';
import Value from 'typebox/value';
import {
  EXPORT_TARGETS,
  EXPORTER_NAME,
  ExporterSecrets,
  type ExporterTarget,
  HTTP_ADDRESS,
  type ExporterSecrets as Secrets,
} from '../registry/exporter.ts';

/** An exporter as d4.yaml declares it. */
export interface DeclaredExporter {
  readonly name: string;
  readonly type: string;
  readonly sensors?: readonly SensorId[];
  readonly description?: string;
  readonly paused?: boolean;
  readonly target: ExporterTarget;
  readonly secrets?: Secrets;
}

/**
 * Reads the section `exporters` of d4.yaml: by name, the type, and the settings of the target in dashed words.
 * @param where the file
 * @throws {D4Error} D4_CONFIG, naming the exporter and what is allowed; never a value, which may be a secret
 */
export function parseExporters(section: unknown, where: string): DeclaredExporter[] {
  if (!isMapping(section)) throw wrong(where, '"exporters" is a mapping: a name, and under it the settings');
  return Object.entries(section).map(([name, settings]) => {
    const at = `${where}: exporter "${name}"`;
    if (!new RegExp(EXPORTER_NAME).test(name)) {
      throw wrong(at, 'a name is 1 to 64 letters, digits, "_" and "-", and begins with a letter or digit');
    }
    if (!isMapping(settings)) throw wrong(at, 'expected a mapping of settings: type, kind, …');
    return parseExporter(name, settings, at);
  });
}

function parseExporter(name: string, settings: object, at: string): DeclaredExporter {
  const { type, sensors, description, paused, headers, key, ...rest } = camelled(settings);
  const topic = typeof type === 'number' ? String(type) : type;
  if (typeof topic !== 'string' || !(/^\d{1,3}$/.test(topic) || isMetaTypeName(topic))) {
    throw wrong(at, '"type" is the number of a type, or the name of a meta type');
  }
  if (description !== undefined && typeof description !== 'string') throw wrong(at, '"description" is a text');
  if (paused !== undefined && typeof paused !== 'boolean') throw wrong(at, '"paused" is true or false');
  const secrets = { ...(headers !== undefined && { headers }), ...(key !== undefined && { key }) };
  if (!Value.Check(ExporterSecrets, secrets)) {
    throw wrong(at, '"headers" is a mapping of names to texts, "key" a text');
  }
  return {
    name,
    type: topic,
    ...(sensors !== undefined && { sensors: sensorsOf(sensors, at) }),
    ...(description !== undefined && { description }),
    ...(paused !== undefined && { paused }),
    ...(Object.keys(secrets).length > 0 && { secrets }),
    target: targetOf(rest, at),
  };
}

function sensorsOf(sensors: unknown, at: string): SensorId[] {
  if (!Array.isArray(sensors) || sensors.length === 0) throw wrong(at, '"sensors" is a list of UUIDs');
  try {
    return sensors.map((uuid) => parseSensorId(String(uuid)));
  } catch (error) {
    throw wrong(at, error instanceof Error ? error.message : String(error));
  }
}

/** What of a setting's schema is said to people. */
interface SettingSchema {
  readonly type?: unknown;
  readonly enum?: readonly string[];
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
}

type TargetSchema = TSchema & {
  readonly properties?: Readonly<Record<string, SettingSchema>>;
  readonly required?: readonly string[];
};

function targetOf(settings: Record<string, unknown>, at: string): ExporterTarget {
  const kinds = Object.keys(EXPORT_TARGETS);
  const kind = kinds.find((each) => each === settings.kind);
  if (kind === undefined) throw wrong(at, `"kind" is one of ${kinds.join(', ')}`);
  const described: TSchema = EXPORT_TARGETS[kind as keyof typeof EXPORT_TARGETS];
  const schema = described as TargetSchema;
  if (Value.Check(schema, settings)) return settings as ExporterTarget;
  const known = Object.keys(schema.properties ?? {});
  const unknown = Object.keys(settings).find((each) => !known.includes(each));
  if (unknown !== undefined) {
    throw wrong(at, `"${dashed(unknown)}" is no setting of ${kind}; allowed: ${known.map(dashed).join(', ')}`);
  }
  const missing = (schema.required ?? []).filter((each) => !(each in settings));
  if (missing.length > 0) throw wrong(at, `${missing.map((each) => `"${dashed(each)}"`).join(', ')} must be given`);
  const [problem] = Value.Errors(schema, settings);
  const name = problem?.instancePath.slice(1) ?? '';
  throw wrong(
    at,
    `"${dashed(name)}" ${allowedText(schema.properties?.[name]) ?? problem?.message ?? 'is not as expected'}`,
  );
}

/** What a setting has to be, in words; undefined where the schema's own message says enough. */
function allowedText(setting: SettingSchema | undefined): string | undefined {
  if (setting?.enum !== undefined) return `is one of ${setting.enum.join(', ')}`;
  if (setting?.pattern === HTTP_ADDRESS) return 'begins with http:// or https://';
  if (setting?.type === 'boolean') return 'is true or false';
  if (setting?.type === 'number' || setting?.type === 'integer') {
    const what = setting.type === 'integer' ? 'a whole number' : 'a number';
    const { minimum, maximum } = setting;
    return `is ${what}${maximum === undefined ? ` of at least ${minimum}` : ` from ${minimum} to ${maximum}`}`;
  }
  return undefined;
}

/**
 * Reads the settings of a target that are given as text, by their names in d4.yaml.
 * @param before the target that they change, of the same kind; an empty text takes a setting out of it
 * @throws {D4Error} D4_CONFIG, saying what is allowed
 */
export function parseTargetSettings(
  kind: string,
  settings: ReadonlyMap<string, string>,
  before?: ExporterTarget,
): ExporterTarget {
  const at = `exporter of kind "${kind}"`;
  const schemas: Readonly<Record<string, { readonly properties: object }>> = EXPORT_TARGETS;
  const types = new Map<string, { type?: unknown }>(Object.entries(schemas[kind]?.properties ?? {}));
  const values: Record<string, unknown> = { ...before };
  for (const [name, value] of Object.entries(camelled(Object.fromEntries(settings)))) {
    if (value === '' && before !== undefined) delete values[name];
    else values[name] = typedValue(String(value), types.get(name)?.type);
  }
  return targetOf({ ...values, kind }, at);
}

function typedValue(text: string, type: unknown): unknown {
  if ((type === 'integer' || type === 'number') && /^\d+(\.\d+)?$/.test(text)) return Number(text);
  if (type === 'boolean' && (text === 'true' || text === 'false')) return text === 'true';
  return text;
}

function camelled(settings: object): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(settings).map(([key, value]) => [
      key.replaceAll(/-([a-z])/g, (_, letter: string) => letter.toUpperCase()),
      value,
    ]),
  );
}

function dashed(word: string): string {
  return word.replaceAll(/[A-Z]/g, (capital) => `-${capital.toLowerCase()}`);
}

function isMapping(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function wrong(where: string, what: string): D4Error {
  return new D4Error('D4_CONFIG', `${where}: ${what}`);
}
