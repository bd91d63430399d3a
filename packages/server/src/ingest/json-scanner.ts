/** What the scanner waits for. `utf8` is within a character of several bytes, `literal` within `true`, `false`, `null`. */
type Expectation =
  | 'object'
  | 'first-key'
  | 'key'
  | 'colon'
  | 'value'
  | 'first-value'
  | 'after-value'
  | 'string'
  | 'escape'
  | 'hex'
  | 'utf8'
  | 'literal'
  | 'minus'
  | 'zero'
  | 'integer'
  | 'point'
  | 'fraction'
  | 'exponent'
  | 'exponent-sign'
  | 'exponent-digits';

const QUOTE = 0x22;
const COMMA = 0x2c;
const MINUS = 0x2d;
const POINT = 0x2e;
const ZERO = 0x30;
const COLON = 0x3a;
const OPEN_LIST = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_LIST = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const ESCAPABLE: ReadonlySet<number> = new Set(Buffer.from('"\\/bfnrt'));
const LITERALS: ReadonlyMap<number, Buffer> = new Map(
  ['true', 'false', 'null'].map((word) => [word.charCodeAt(0), Buffer.from(word)]),
);

/** Whether a byte is white space in JSON (RFC 8259, section 2). */
export function isJsonSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;
}

/**
 * Finds the end of the one JSON object at the beginning of a byte stream, however it is split, and knows at the first
 * byte that the stream cannot begin with one (RFC 8259; UTF-8 as RFC 3629 has it).
 */
export class JsonObjectScanner {
  #expect: Expectation = 'object';
  /** The open lists and objects. */
  readonly #open: ('list' | 'object')[] = [];
  #stringIsKey = false;
  /** Bytes that the present escape, character or literal still needs. */
  #left = 0;
  /** What the next byte of a character may be. */
  #lowest = 0x80;
  #highest = 0xbf;
  #literal: Buffer = Buffer.alloc(0);

  /**
   * Takes the next bytes. Not to be called again once it has answered something else than `more`.
   * @returns the index in `bytes` after the object's closing brace, or what is known so far
   */
  push(bytes: Buffer): number | 'more' | 'impossible' {
    for (let at = 0; at < bytes.length; at++) {
      const byte = bytes[at] as number;
      if (!this.#take(byte)) return 'impossible';
      if (byte === CLOSE_OBJECT && this.#open.length === 0) return at + 1;
    }
    return 'more';
  }

  /** @returns whether the byte may come here */
  #take(byte: number): boolean {
    switch (this.#expect) {
      case 'object':
        return isJsonSpace(byte) || (byte === OPEN_OBJECT && this.#beginObject());
      case 'first-key':
        return isJsonSpace(byte) || (byte === CLOSE_OBJECT ? this.#close('object') : this.#beginKey(byte));
      case 'key':
        return isJsonSpace(byte) || this.#beginKey(byte);
      case 'colon':
        return isJsonSpace(byte) || (byte === COLON && this.#now('value'));
      case 'value':
        return isJsonSpace(byte) || this.#beginValue(byte);
      case 'first-value':
        return isJsonSpace(byte) || (byte === CLOSE_LIST ? this.#close('list') : this.#beginValue(byte));
      case 'after-value':
        return this.#afterValue(byte);
      case 'string':
        return this.#inString(byte);
      case 'escape':
        return byte === 0x75 ? this.#needing(4, 'hex') : ESCAPABLE.has(byte) && this.#now('string');
      case 'hex':
        return isHexDigit(byte) && (--this.#left > 0 || this.#now('string'));
      case 'utf8':
        return this.#inCharacter(byte);
      case 'literal':
        return (
          this.#literal[this.#literal.length - this.#left] === byte && (--this.#left > 0 || this.#now('after-value'))
        );
      default:
        return this.#inNumber(this.#expect, byte);
    }
  }

  #now(expect: Expectation): true {
    this.#expect = expect;
    return true;
  }

  #needing(bytes: number, expect: Expectation): true {
    this.#left = bytes;
    return this.#now(expect);
  }

  #beginObject(): true {
    this.#open.push('object');
    return this.#now('first-key');
  }

  #beginKey(byte: number): boolean {
    this.#stringIsKey = true;
    return byte === QUOTE && this.#now('string');
  }

  #beginValue(byte: number): boolean {
    if (byte === QUOTE) {
      this.#stringIsKey = false;
      return this.#now('string');
    }
    if (byte === OPEN_OBJECT) return this.#beginObject();
    if (byte === OPEN_LIST) {
      this.#open.push('list');
      return this.#now('first-value');
    }
    if (byte === MINUS) return this.#now('minus');
    if (isDigit(byte)) return this.#now(byte === ZERO ? 'zero' : 'integer');
    const literal = LITERALS.get(byte);
    if (literal === undefined) return false;
    this.#literal = literal;
    return this.#needing(literal.length - 1, 'literal');
  }

  #afterValue(byte: number): boolean {
    if (isJsonSpace(byte)) return this.#now('after-value');
    if (byte === CLOSE_OBJECT) return this.#close('object');
    if (byte === CLOSE_LIST) return this.#close('list');
    return byte === COMMA && this.#now(this.#open.at(-1) === 'object' ? 'key' : 'value');
  }

  #close(kind: 'list' | 'object'): boolean {
    return this.#open.pop() === kind && this.#now('after-value');
  }

  #inString(byte: number): boolean {
    if (byte === QUOTE) return this.#now(this.#stringIsKey ? 'colon' : 'after-value');
    if (byte === BACKSLASH) return this.#now('escape');
    if (byte < 0x20) return false;
    return byte < 0x80 || this.#beginCharacter(byte);
  }

  /** RFC 3629, section 4: no overlong forms, no surrogates, nothing above U+10FFFF. */
  #beginCharacter(byte: number): boolean {
    this.#lowest = byte === 0xe0 ? 0xa0 : byte === 0xf0 ? 0x90 : 0x80;
    this.#highest = byte === 0xed ? 0x9f : byte === 0xf4 ? 0x8f : 0xbf;
    if (byte >= 0xc2 && byte <= 0xdf) return this.#needing(1, 'utf8');
    if (byte >= 0xe0 && byte <= 0xef) return this.#needing(2, 'utf8');
    return byte >= 0xf0 && byte <= 0xf4 && this.#needing(3, 'utf8');
  }

  #inCharacter(byte: number): boolean {
    if (byte < this.#lowest || byte > this.#highest) return false;
    this.#lowest = 0x80;
    this.#highest = 0xbf;
    return --this.#left > 0 || this.#now('string');
  }

  #inNumber(expect: Expectation, byte: number): boolean {
    const digit = isDigit(byte);
    const exponent = byte === 0x65 || byte === 0x45;
    switch (expect) {
      case 'minus':
        return digit && this.#now(byte === ZERO ? 'zero' : 'integer');
      case 'point':
        return digit && this.#now('fraction');
      case 'exponent':
        return digit ? this.#now('exponent-digits') : (byte === MINUS || byte === 0x2b) && this.#now('exponent-sign');
      case 'exponent-sign':
        return digit && this.#now('exponent-digits');
      case 'zero':
      case 'integer':
        if (digit) return expect === 'integer';
        if (byte === POINT) return this.#now('point');
        return exponent ? this.#now('exponent') : this.#afterValue(byte);
      case 'fraction':
        if (digit) return true;
        return exponent ? this.#now('exponent') : this.#afterValue(byte);
      default:
        return digit || this.#afterValue(byte);
    }
  }
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}

function isHexDigit(byte: number): boolean {
  return isDigit(byte) || (byte >= 0x41 && byte <= 0x46) || (byte >= 0x61 && byte <= 0x66);
}
