import { type Framing, framedFormat, type RecordKind } from './framed.ts';
import { IPFIX_MESSAGE_HEADER_BYTES, IPFIX_SET, IPFIX_SET_HEADER_BYTES } from './ipfix.ts';
import { IpfixTemplates } from './ipfix-templates.ts';
import type { Format } from './port.ts';
import { captureFiles } from './rotation.ts';

const VERSION = 10;
const MAX_MESSAGE_BYTES = 0xffff;
const LIKELY_SECONDS_BETWEEN = 7 * 86_400;

/**
 * YAF's flows (wire type 7): IPFIX messages, one after another. A record is a message; the preamble is messages that
 * hold all templates in force, in place of those that the stream brought them in. Source: RFC 7011, 3.1, 3.3, 3.4, 8.
 */
export const yafFormat: Format = framedFormat({
  name: 'yaf',
  items: 'files',
  maxRecordBytes: MAX_MESSAGE_BYTES,
  archive: captureFiles('yaf'),
  hasPreamble: true,
  newFraming: (preamble) => new YafFraming(preamble),
});

class YafFraming implements Framing {
  readonly headBytes = IPFIX_MESSAGE_HEADER_BYTES;
  readonly #templates: IpfixTemplates;

  constructor(preamble: Buffer) {
    this.#templates = new IpfixTemplates(preamble);
  }

  get preamble(): Buffer {
    return this.#templates.messages;
  }

  recordBytes(bytes: Buffer, at: number): number {
    if (bytes.readUInt16BE(at) !== VERSION) return 0;
    const length = bytes.readUInt16BE(at + 2);
    return length < IPFIX_MESSAGE_HEADER_BYTES ? 0 : length;
  }

  /** A message whose sets do not fill it is none. */
  kindOf(bytes: Buffer, start: number, end: number): RecordKind {
    let kind: RecordKind = 'item';
    for (let at = start + IPFIX_MESSAGE_HEADER_BYTES; at < end; ) {
      if (end - at < IPFIX_SET_HEADER_BYTES) return 'bad';
      const set = bytes.readUInt16BE(at);
      const length = bytes.readUInt16BE(at + 2);
      if (length < IPFIX_SET_HEADER_BYTES || at + length > end) return 'bad';
      if (set === IPFIX_SET.templates || set === IPFIX_SET.optionsTemplates) kind = 'turn';
      else if (set < IPFIX_SET.firstData) return 'bad';
      at += length;
    }
    return kind;
  }

  take(bytes: Buffer, start: number, end: number): boolean {
    return this.#templates.take(bytes.subarray(start, end));
  }

  isLikely(bytes: Buffer, at: number, before: number): boolean {
    const seconds = bytes.readUInt32BE(at + 4);
    if (seconds === 0 || bytes.readUInt16BE(at + 2) === IPFIX_MESSAGE_HEADER_BYTES) return false;
    return before === -1 || Math.abs(seconds - bytes.readUInt32BE(before + 4)) <= LIKELY_SECONDS_BETWEEN;
  }
}
