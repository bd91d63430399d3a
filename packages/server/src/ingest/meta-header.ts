import { Carry } from '../formats/carry.ts';
import { isJsonSpace, JsonObjectScanner } from './json-scanner.ts';

/** The largest meta header, in bytes up to its closing brace. */
export const MAX_META_HEADER_BYTES = 100_000;

/** A complete meta header. */
export interface MetaHeader {
  /** Its `type`, as it stands there. */
  readonly type: string;
  /** The JSON text, from its first brace to its last. */
  readonly text: string;
}

/**
 * Reads the meta header out of the payloads of type-2 frames, split anywhere. What can become one is `incomplete`, and
 * once it cannot, `bad`; after the header, white space is all that may come.
 */
export class MetaHeaderReader {
  readonly #scanner = new JsonObjectScanner();
  readonly #text = new Carry();
  #header: MetaHeader | undefined;
  #begun = false;

  /** Whether any of the header has come. */
  get begun(): boolean {
    return this.#begun;
  }

  /** Takes the next payload. Not to be called again after `bad`. */
  push(payload: Buffer): MetaHeader | 'incomplete' | 'bad' {
    if (this.#header !== undefined) return isBlank(payload) ? this.#header : 'bad';
    const end = this.#scanner.push(payload);
    if (end === 'impossible') return 'bad';
    const part = end === 'more' ? payload : payload.subarray(0, end);
    if (this.#text.length + part.length > MAX_META_HEADER_BYTES) return 'bad';
    this.#begun ||= !isBlank(part);
    this.#text.append(part);
    if (end === 'more') return 'incomplete';
    this.#header = read(this.#text.take().toString('utf8'));
    return this.#header !== undefined && isBlank(payload.subarray(end)) ? this.#header : 'bad';
  }
}

/** Whether there is nothing but JSON's white space. */
export function isBlank(payload: Buffer): boolean {
  return payload.every(isJsonSpace);
}

function read(text: string): MetaHeader | undefined {
  const value: unknown = JSON.parse(text);
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, 'type')) return undefined;
  const { type } = value as { type: unknown };
  return typeof type === 'string' ? { type, text: text.trim() } : undefined;
}
