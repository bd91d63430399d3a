import { D4Error } from '@d4ts/protocol';
import { RecordLines } from './record-lines.ts';

/** An error that the server has answered. */
export class ReplyError extends Error {}

/** What a Redis server answers (RESP2). */
export type Reply = string | number | Buffer | null | ReplyError | Reply[];

/** How many items were asked for, and how they come: each by itself, or in runs behind the number of items in them. */
export interface WantedItems {
  readonly most: number;
  readonly as: 'items' | 'runs';
}

/** Who is told of the answers, in the order of the requests. */
export interface ReplyListener {
  /** What was asked for, where the answer that begins now is a list of items, which `items` is told of piece by piece. */
  wantedItems(): WantedItems | undefined;
  /** Items of the answer under way. */
  items(lines: RecordLines): void;
  /** An answer is complete; of items there is the head alone: `null` or an empty list. */
  reply(reply: Reply): void;
}

/** Read at a time, and what items are views of, in bytes. */
const SLAB_BYTES = 1024 * 1024;
/** With less room than this at the end of a slab, another one is begun. */
const ROOM_BYTES = 64 * 1024;
/** What stands before a line break, but for items. */
const MAX_LINE_BYTES = 64 * 1024;
/** The longest item, in bytes: the longest record of any format (a file's line). */
const MAX_ITEM_BYTES = 64 * 1024 * 1024;
/** Of answers other than lists of items, which hold a queue's name and an item at the most: all their bytes, and how many answers are in them. */
const MAX_ANSWER_BYTES = MAX_ITEM_BYTES + 2 * MAX_LINE_BYTES;
const MAX_ANSWER_PARTS = 1_000;
const MAX_DEPTH = 8;
/** Of an item's length; some servers may put zeros in front. */
const MAX_DIGITS = 20;
const CR = 0x0d;
const LF = 0x0a;
const ZERO = 0x30;
const MINUS = 0x2d;
const MARKER = { simple: 0x2b, error: 0x2d, integer: 0x3a, bulk: 0x24, array: 0x2a } as const;
/** What has not come whole yet. */
const MORE = Symbol('more');

/** An answer in an answer, of which some have come. */
interface OpenArray {
  readonly replies: Reply[];
  readonly count: number;
}

/**
 * Cuts the bytes of a Redis server into answers. Items are not copied out one by one: each moves to where the one
 * before ends, over what stood between them, and a newline goes behind it. Runs of items are not even looked into.
 */
export class ReplyReader {
  readonly #listener: ReplyListener;
  #slab: Buffer = Buffer.allocUnsafeSlow(SLAB_BYTES);
  /** What was read of the slab, and what of that is used up. */
  #filled = 0;
  #at = 0;
  /** Items or runs of the answer under way that are still to come; -1 where none is under way. */
  #missing = -1;
  /** How many items the runs that are still to come may have; undefined where items come each by itself. */
  #mostInRuns: number | undefined;
  /** The answer under way, the outermost first: the arrays of it that are not complete; and how much of it has come. */
  #open: OpenArray[] = [];
  #parts = 0;
  #bytes = 0;
  /** Where the items that nobody has been told of begin and end, and the ends of each of them, from that beginning. */
  #from = 0;
  #to = 0;
  #ends: number[] = [];

  constructor(listener: ReplyListener) {
    this.#listener = listener;
  }

  /** Where the next bytes go. */
  get room(): Buffer {
    if (this.#slab.length - this.#filled < ROOM_BYTES) this.#renew();
    return this.#slab.subarray(this.#filled);
  }

  /**
   * So many bytes have come into `room`.
   * @throws {D4Error} D4_REDIS_PROTOCOL where they are no answers
   */
  came(bytes: number): void {
    this.#filled += bytes;
    for (;;) {
      if (this.#missing > 0) {
        if (this.#mostInRuns === undefined) {
          this.#takeItems();
          this.#tellItems();
        } else this.#takeRuns(this.#mostInRuns);
        if (this.#missing > 0) return;
      }
      if (this.#missing === 0) {
        this.#missing = -1;
        this.#listener.reply([]);
      }
      if (this.#at === this.#filled) return;
      const wanted = this.#open.length === 0 ? this.#listener.wantedItems() : undefined;
      if (wanted !== undefined && this.#slab[this.#at] === MARKER.array) {
        const count = this.#number(this.#at + 1);
        if (count === MORE) return;
        const { most, as } = wanted;
        const items = as === 'runs' && count > 0 ? count / 2 : count;
        if (items > most) throw notAnAnswer(`${items} items come where ${most} were asked for`);
        if (!Number.isInteger(items)) throw notAnAnswer('a run is missing behind its number of items');
        this.#mostInRuns = as === 'runs' ? most : undefined;
        this.#from = this.#at;
        this.#to = this.#at;
        this.#at = this.#behindLine(this.#at);
        if (count >= 0) this.#missing = items;
        else this.#listener.reply(null);
        continue;
      }
      const part = this.#part();
      if (part === MORE) return;
      const reply = this.#placed(part);
      if (reply === MORE) continue;
      this.#parts = 0;
      this.#bytes = 0;
      this.#listener.reply(reply);
    }
  }

  /** Another slab, with what was not used up of this one at its beginning. */
  #renew(): void {
    const rest = this.#filled - this.#at;
    const slab = Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, rest * 2 + ROOM_BYTES));
    this.#slab.copy(slab, 0, this.#at, this.#filled);
    this.#slab = slab;
    this.#filled = rest;
    this.#at = 0;
    this.#from = 0;
    this.#to = 0;
  }

  #takeItems(): void {
    const slab = this.#slab;
    const filled = this.#filled;
    const from = this.#from;
    const ends = this.#ends;
    let missing = this.#missing;
    let at = this.#at;
    let to = this.#to;
    for (; missing > 0; missing--) {
      if (at < filled && slab[at] !== MARKER.bulk) throw notAnAnswer(`an item begins with byte ${slab[at]}`);
      let start = at + 1;
      let length = 0;
      // As far as digits go; what is no length is found by the line break that is missing behind it.
      for (; start < filled; start++) {
        const digit = (slab[start] as number) - ZERO;
        if (digit < 0 || digit > 9) break;
        length = length * 10 + digit;
        if (length > MAX_ITEM_BYTES || start - at > MAX_DIGITS) throw tooLong();
      }
      const end = start + 2 + length;
      if (start + 2 > filled) break;
      if (start === at + 1 || slab[start] !== CR || slab[start + 1] !== LF) throw notAnAnswer('an item has no length');
      if (end + 2 > filled) break;
      if (slab[end] !== CR || slab[end + 1] !== LF) throw notAnAnswer('an item does not end where it should');
      slab.copyWithin(to, start + 2, end);
      to += length;
      slab[to++] = LF;
      ends.push(to - from);
      at = end + 2;
    }
    this.#missing = missing;
    this.#at = at;
    this.#to = to;
  }

  #takeRuns(mostItems: number): void {
    const slab = this.#slab;
    let most = mostItems;
    for (; this.#missing > 0 && this.#at < this.#filled; this.#missing--) {
      if (slab[this.#at] !== MARKER.integer) throw notAnAnswer(`a run begins with byte ${slab[this.#at]}`);
      const count = this.#number(this.#at + 1);
      const head = this.#behindLine(this.#at);
      if (count === MORE || head === this.#filled) break;
      if (slab[head] !== MARKER.bulk) throw notAnAnswer(`the bytes of a run begin with byte ${slab[head]}`);
      const length = this.#number(head + 1);
      if (length === MORE) break;
      if (count < 1 || count > most) throw notAnAnswer(`${count} items come in a run where ${most} are left`);
      if (length > MAX_ITEM_BYTES + 1) throw tooLong();
      const start = this.#behindLine(head);
      const end = start + length;
      if (end + 2 > this.#filled) break;
      const isEnded = slab[end] === CR && slab[end + 1] === LF;
      if (length < count || !isEnded || slab[end - 1] !== LF) throw notAnAnswer('a run does not end where it should');
      most -= count;
      this.#at = end + 2;
      this.#listener.items(new RecordLines(slab.subarray(start, end), count));
    }
    this.#mostInRuns = most;
  }

  #tellItems(): void {
    if (this.#ends.length === 0) return;
    const ends = this.#ends;
    const lines = new RecordLines(this.#slab.subarray(this.#from, this.#to), ends.length, ends);
    this.#from = this.#to;
    this.#ends = [];
    this.#listener.items(lines);
  }

  /** The next part of an answer: a whole one, or the beginning of one that has others in it. It is read once it is there whole. */
  #part(): Reply | OpenArray | typeof MORE {
    const marker = this.#slab[this.#at];
    const from = this.#at + 1;
    const end = this.#behindLine(this.#at);
    if (end === -1) return MORE;
    const part = this.#partOf(marker, from, end);
    if (part === MORE) return MORE;
    if (!Buffer.isBuffer(part)) this.#at = end;
    this.#parts++;
    this.#bytes += end - from;
    if (this.#parts > MAX_ANSWER_PARTS || this.#bytes > MAX_ANSWER_BYTES) throw notAnAnswer('an answer has no end');
    return part;
  }

  #partOf(marker: number | undefined, from: number, end: number): Reply | OpenArray | typeof MORE {
    switch (marker) {
      case MARKER.simple:
        return this.#slab.toString('utf8', from, end - 2);
      case MARKER.error:
        return new ReplyError(this.#slab.toString('utf8', from, end - 2));
      case MARKER.integer:
        return this.#number(from) as number;
      case MARKER.bulk:
        return this.#bulk(this.#number(from) as number, end);
      case MARKER.array:
        return this.#array(this.#number(from) as number);
    }
    throw notAnAnswer(`an answer begins with byte ${marker}`);
  }

  #bulk(length: number, from: number): Buffer | null | typeof MORE {
    if (length < 0) return null;
    if (length > MAX_ITEM_BYTES) throw tooLong();
    const end = from + length;
    if (end + 2 > this.#filled) return MORE;
    this.#at = end + 2;
    this.#bytes += length;
    return Buffer.from(this.#slab.subarray(from, end));
  }

  #array(count: number): OpenArray | null {
    if (count < 0) return null;
    if (count > MAX_ANSWER_PARTS) throw notAnAnswer(`a list of ${count} comes where none was asked for`);
    if (this.#open.length === MAX_DEPTH) throw notAnAnswer('an answer is nested too deeply');
    return { replies: [], count };
  }

  /** Puts a part where it belongs. @returns the whole answer, if that is complete now */
  #placed(part: Reply | OpenArray): Reply | typeof MORE {
    let whole: Reply;
    if (isOpen(part)) {
      if (part.count > 0) {
        this.#open.push(part);
        return MORE;
      }
      whole = part.replies;
    } else whole = part;
    for (;;) {
      const around = this.#open.at(-1);
      if (around === undefined) return whole;
      around.replies.push(whole);
      if (around.replies.length < around.count) return MORE;
      this.#open.pop();
      whole = around.replies;
    }
  }

  /** Behind the end of the line at `from`; -1 where that has not come. */
  #behindLine(from: number): number {
    const end = this.#slab.subarray(from, Math.min(this.#filled, from + MAX_LINE_BYTES)).indexOf(LF);
    if (end !== -1) return from + end + 1;
    if (this.#filled - from >= MAX_LINE_BYTES) throw notAnAnswer(`a line has more than ${MAX_LINE_BYTES} bytes`);
    return -1;
  }

  /** The number that a line ends with. */
  #number(from: number): number | typeof MORE {
    const end = this.#behindLine(from);
    if (end === -1) return MORE;
    const isNegative = this.#slab[from] === MINUS;
    let value = 0;
    let at = isNegative ? from + 1 : from;
    const first = at;
    for (; at < end - 2; at++) {
      const digit = (this.#slab[at] as number) - ZERO;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
    }
    if (at !== end - 2 || at === first || this.#slab[at] !== CR) throw notAnAnswer('a number is none');
    return isNegative ? -value : value;
  }
}

function isOpen(part: Reply | OpenArray): part is OpenArray {
  return typeof part === 'object' && part !== null && 'replies' in part;
}

function tooLong(): D4Error {
  return notAnAnswer(`an item has more than ${MAX_ITEM_BYTES} bytes`);
}

function notAnAnswer(why: string): D4Error {
  return new D4Error('D4_REDIS_PROTOCOL', `what it answers is not the Redis protocol: ${why}`);
}
