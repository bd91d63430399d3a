import { isIP } from 'node:net';

/**
 * An event of a Maltrail sensor: the fields of one line of its console, as far as they are looked at. Facts: Maltrail
 * 3.1.2, `core/log.py`, `sensor/src/event.rs`, and for severities `html/js/main.js`.
 */
export interface MaltrailEvent {
  /** In the sensor's own time, whose zone is not said: `2026-11-22 04:26:15.874827`. */
  readonly timestamp: string;
  /** What the sensor calls itself. */
  readonly sensor: string;
  /** `-` stands for what there is not, here and below. */
  readonly sourceIp: string;
  /** The next four may be lists with commas: Maltrail makes one event of several alike. */
  readonly sourcePort: string;
  readonly destinationIp: string;
  readonly destinationPort: string;
  readonly protocol: string;
  /** What kind of trail it is: `DNS`, `IP`, `URL`, … */
  readonly type: string;
  readonly trail: string;
  readonly info: string;
  readonly reference: string;
}

/** As Maltrail's own pages tell them apart, the mildest first. */
export const SEVERITIES = ['low', 'medium', 'high'] as const;
export type Severity = (typeof SEVERITIES)[number];

const FIELDS = 11;
const TIMESTAMP = /^(\d{4})-(\d\d)-(\d\d) (\d\d):(\d\d):(\d\d)\.\d{6}$/;
const PORTS = /^(?:-|\d{1,5}(?:,\d{1,5})*)$/;
const PROTOCOLS = /^[A-Z][A-Z0-9-]{0,15}(?:,[A-Z][A-Z0-9-]{0,15}){0,99}$/;
const TYPE = /^[A-Z][A-Z0-9]{0,15}$/;
const MAX_PORT = 65_535;
/** A reference that is no feed's name: a half line may end within one. */
const OPEN_PARENTHESIS = /^\([^)]*$/;

/** What is looked for in info or reference, in lower case; the first that is found decides, and else it is medium. */
const SEVERITY_RULES: readonly (readonly ['info' | 'reference', string, Severity])[] = [
  ['reference', '(custom)', 'high'],
  ['reference', '(remote custom)', 'high'],
  ['info', 'potential malware site', 'medium'],
  ['reference', 'malwaredomainlist', 'high'],
  ['info', 'malware distribution', 'medium'],
  ['info', 'mass scanner', 'low'],
  ['info', 'malware', 'high'],
  ['info', 'adversary', 'high'],
  ['info', 'ransomware', 'high'],
  ['info', 'reputation', 'low'],
  ['info', 'attacker', 'low'],
  ['info', 'spammer', 'low'],
  ['info', 'compromised', 'low'],
  ['info', 'crawler', 'low'],
  ['info', 'scanning', 'low'],
];

/** How bad an event is, by the words in its info and reference. */
export function severityOf(event: Pick<MaltrailEvent, 'info' | 'reference'>): Severity {
  const lower = { info: event.info.toLowerCase(), reference: event.reference.toLowerCase() };
  return SEVERITY_RULES.find(([field, words]) => lower[field].includes(words))?.[2] ?? 'medium';
}

/**
 * Reads a line of a Maltrail sensor's console, without its newline.
 * @returns undefined where it is no event: a banner, `[i] …`, half an event, anything behind a number
 */
export function parseMaltrailEvent(line: string): MaltrailEvent | undefined {
  // Most lines that are none are known by their beginning.
  if (!line.startsWith('"')) return undefined;
  const fields = fieldsOf(line);
  if (fields === undefined) return undefined;
  const [timestamp = '', sensor = '', sourceIp = '', sourcePort = '', destinationIp = '', destinationPort = ''] =
    fields;
  const [protocol = '', type = '', trail = '', info = '', reference = ''] = fields.slice(6);
  const isEvent =
    isTimestamp(timestamp) &&
    isAddress(sourceIp) &&
    arePorts(sourcePort) &&
    destinationIp.split(',').every(isAddress) &&
    arePorts(destinationPort) &&
    PROTOCOLS.test(protocol) &&
    TYPE.test(type) &&
    !OPEN_PARENTHESIS.test(reference);
  if (!isEvent) return undefined;
  return {
    ...{ timestamp, sensor, sourceIp, sourcePort, destinationIp, destinationPort },
    ...{ protocol, type, trail, info, reference },
  };
}

/** Whether the bytes of a line, without its newline, are an event. */
export function isMaltrailEvent(line: Buffer): boolean {
  return line[0] === 0x22 && parseMaltrailEvent(line.toString('utf8')) !== undefined;
}

/**
 * Exactly eleven fields with one space between them; one that has a space or a quote in it stands in quotes, and its
 * quotes are doubled.
 */
function fieldsOf(line: string): string[] | undefined {
  const fields: string[] = [];
  for (let at = 0; at < line.length; at++) {
    const end = line[at] === '"' ? closingQuote(line, at) : fieldEnd(line, at);
    if (end === undefined || end === at || (end < line.length && line[end] !== ' ')) return undefined;
    const field = line.slice(at, end);
    const isQuoted = field.startsWith('"');
    if (!isQuoted && field.includes('"')) return undefined;
    const value = isQuoted ? field.slice(1, -1).replaceAll('""', '"') : field;
    if (value === '' || fields.push(value) > FIELDS) return undefined;
    at = end;
  }
  return fields.length === FIELDS && !line.endsWith(' ') ? fields : undefined;
}

function fieldEnd(line: string, from: number): number {
  const space = line.indexOf(' ', from);
  return space === -1 ? line.length : space;
}

/** @returns the place behind it */
function closingQuote(line: string, from: number): number | undefined {
  for (let at = from + 1; ; at += 2) {
    at = line.indexOf('"', at);
    if (at === -1) return undefined;
    if (line[at + 1] !== '"') return at + 1;
  }
}

function isTimestamp(text: string): boolean {
  const [, year, month, day, hour, minute, second] = TIMESTAMP.exec(text) ?? [];
  if (second === undefined) return false;
  const date = new Date(Date.UTC(Number(year), Number(month) - 1, Number(day)));
  const isDate = date.getUTCMonth() === Number(month) - 1 && date.getUTCDate() === Number(day);
  return isDate && Number(hour) < 24 && Number(minute) < 60 && Number(second) <= 60;
}

function isAddress(text: string): boolean {
  return text === '-' || isIP(text) !== 0;
}

function arePorts(text: string): boolean {
  return PORTS.test(text) && (text === '-' || text.split(',').every((port) => Number(port) <= MAX_PORT));
}
