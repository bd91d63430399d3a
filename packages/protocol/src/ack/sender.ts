import type { HmacScratch } from '../hmac.ts';
import { AckMac } from './mac.ts';
import {
  ACK_HEAD_BYTES,
  ACK_MAC_BYTES,
  ACK_TYPE,
  type AckAccept,
  type AckAcknowledge,
  type AckChallenge,
  type AckEnd,
  type AckGap,
  type AckOpen,
  type AckRefuse,
  type AckResume,
  type AckType,
  acceptBody,
  ackBody,
  challengeBody,
  dataOffset,
  endBody,
  gapBody,
  openBody,
  refuseBody,
  resumeBody,
} from './messages.ts';

const NO_MAC = Buffer.alloc(ACK_MAC_BYTES);
/** A DATA up to this length is made in one piece, so that it goes out in one write. */
const ONE_PIECE_BYTES = 8 * 1024;

/** A CHALLENGE; its MAC is zero, for there is no key yet. */
export function encodeChallenge(challenge: AckChallenge): Buffer {
  const body = challengeBody(challenge);
  return Buffer.concat([headOf(ACK_TYPE.challenge, body.length), body, NO_MAC]);
}

/** A REFUSE by a server that has verified no OPEN, and so has no key: its MAC is zero. */
export function encodeUnprovedRefuse(refuse: AckRefuse): Buffer {
  const body = refuseBody(refuse);
  return Buffer.concat([headOf(ACK_TYPE.refuse, body.length), body, NO_MAC]);
}

/** Makes what one side sends over one connection. Messages must be sent in the order in which they were made. */
export class AckSender {
  readonly #mac: AckMac;

  /** @param key the client's or the server's of `deriveAckKeys` */
  constructor(key: Buffer, scratch: HmacScratch) {
    this.#mac = new AckMac(key, scratch);
  }

  open(open: AckOpen): Buffer {
    return this.#seal(ACK_TYPE.open, openBody(open));
  }

  accept(accept: AckAccept): Buffer {
    return this.#seal(ACK_TYPE.accept, acceptBody(accept));
  }

  refuse(refuse: AckRefuse): Buffer {
    return this.#seal(ACK_TYPE.refuse, refuseBody(refuse));
  }

  resume(resume: AckResume): Buffer {
    return this.#seal(ACK_TYPE.resume, resumeBody(resume));
  }

  /**
   * A DATA, in pieces to be written one after the other: the stream's bytes are not copied unless they are few.
   * @param bytes 1 to `maxDataBytes` of ACCEPT in all; must not change until they are written
   */
  data(offset: number, bytes: readonly Buffer[]): Buffer[] {
    const offsetBytes = dataOffset(offset);
    let length = offsetBytes.length;
    for (const piece of bytes) length += piece.length;
    const front = Buffer.concat([headOf(ACK_TYPE.data, length), offsetBytes]);
    const pieces = [front, ...bytes];
    const mac = this.#mac.next(pieces);
    pieces.push(mac);
    return length <= ONE_PIECE_BYTES ? [Buffer.concat(pieces)] : pieces;
  }

  gap(gap: AckGap): Buffer {
    return this.#seal(ACK_TYPE.gap, gapBody(gap));
  }

  end(end: AckEnd): Buffer {
    return this.#seal(ACK_TYPE.end, endBody(end));
  }

  acknowledge(acknowledge: AckAcknowledge): Buffer {
    return this.#seal(ACK_TYPE.ack, ackBody(acknowledge));
  }

  #seal(type: AckType, body: Buffer): Buffer {
    const head = headOf(type, body.length);
    return Buffer.concat([head, body, this.#mac.next([head, body])]);
  }
}

function headOf(type: AckType, bodyBytes: number): Buffer {
  const head = Buffer.alloc(ACK_HEAD_BYTES);
  head.writeUInt32LE(bodyBytes, head.writeUInt8(type));
  return head;
}
