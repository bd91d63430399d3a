import { D4Error } from '@d4ts/protocol';

/** Bytes of the global header of a libpcap capture, and of what it says in it. */
const HEADER_BYTES = 24;
const KIND_BYTES = 6;
const SNAPLEN_AT = 16;
const LINK_TYPE_AT = 20;
const LITTLE_ENDIAN_MAGICS = [0xa1b2c3d4, 0xa1b23c4d];

/**
 * Makes one libpcap capture out of several: the global header of the first one stands for all, so the others must be of
 * its kind.
 */
export class CaptureJoiner {
  #header: Buffer | undefined;

  /**
   * The bytes that the next capture adds.
   * @param name for messages
   * @throws {D4Error} D4_OTHER_CAPTURE where it cannot be read behind the first one's header
   */
  async *add(capture: AsyncIterable<Buffer>, name: string): AsyncGenerator<Buffer> {
    let front: Buffer = Buffer.alloc(0);
    for await (const chunk of capture) {
      if (front.length >= HEADER_BYTES) {
        yield chunk;
        continue;
      }
      front = Buffer.concat([front, chunk]);
      if (front.length >= HEADER_BYTES) yield this.#withoutHeader(front, name);
    }
    if (front.length < HEADER_BYTES) throw otherCapture(name, 'it has no header');
  }

  #withoutHeader(front: Buffer, name: string): Buffer {
    const header = front.subarray(0, HEADER_BYTES);
    if (this.#header === undefined) {
      this.#header = header;
      return front;
    }
    const isSame = [
      [0, KIND_BYTES],
      [LINK_TYPE_AT, HEADER_BYTES],
    ].every(([start, end]) => this.#header?.subarray(start, end).equals(header.subarray(start, end)));
    if (!isSame) throw otherCapture(name, 'its byte order, clock or link type is another one');
    if (snaplen(header) > snaplen(this.#header)) throw otherCapture(name, 'its packets may be longer');
    return front.subarray(HEADER_BYTES);
  }
}

/** The longest packet that a header allows; 0 means any. */
function snaplen(header: Buffer): number {
  const isLittle = LITTLE_ENDIAN_MAGICS.includes(header.readUInt32LE(0));
  const length = isLittle ? header.readUInt32LE(SNAPLEN_AT) : header.readUInt32BE(SNAPLEN_AT);
  return length === 0 ? Number.POSITIVE_INFINITY : length;
}

function otherCapture(name: string, why: string): D4Error {
  return new D4Error(
    'D4_OTHER_CAPTURE',
    `${name} cannot be joined to the captures before it: ${why}. Print it by itself, or with --raw`,
  );
}
