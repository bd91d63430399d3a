import { IPFIX_MESSAGE_HEADER_BYTES, IPFIX_SET, IPFIX_SET_HEADER_BYTES } from './ipfix.ts';
import { MAX_PREAMBLE_BYTES } from './port.ts';

const MAX_MESSAGE_BYTES = 0xffff;
/** What a template may cost beside its own bytes: a message and a set around it. */
const AROUND_BYTES = IPFIX_MESSAGE_HEADER_BYTES + IPFIX_SET_HEADER_BYTES;
/** Set in an information element's id where an enterprise number follows (RFC 7011, 3.2). */
const ENTERPRISE_BIT = 0x8000;
const DOMAIN_AT = 12;

/** One observation domain: template ids are its own (RFC 7011, 3.4.1), and shared by both kinds. */
interface Domain {
  /** Header of the message that changed its templates last. */
  header: Buffer;
  /** By set id and template id. */
  readonly kinds: ReadonlyMap<number, Map<number, Buffer>>;
}

/** The templates in force, and the messages that say them. */
export class IpfixTemplates {
  /** What it was made from, read when it is needed. */
  readonly #given: Buffer;
  #domains: Map<number, Domain> | undefined;
  /** At most so many bytes of messages. */
  #bytes = 0;
  #messages: Buffer | undefined;

  /** @param messages what another one of these said */
  constructor(messages: Buffer) {
    this.#given = messages;
    this.#messages = messages;
  }

  /** Messages with all templates in force, and nothing else; the same buffer until they change. */
  get messages(): Buffer {
    this.#messages ??= Buffer.concat([...this.#read().values()].flatMap(messagesOf));
    return this.#messages;
  }

  /**
   * Takes a message's templates and withdrawals. What cannot be read in a set ends that set.
   * @returns false where they got more than a preamble may hold
   */
  take(message: Buffer): boolean {
    this.#takeInto(this.#read(), message);
    return this.#bytes <= MAX_PREAMBLE_BYTES;
  }

  #read(): Map<number, Domain> {
    if (this.#domains !== undefined) return this.#domains;
    const domains = new Map<number, Domain>();
    this.#domains = domains;
    const given = this.#given;
    for (let at = 0; given.length - at >= IPFIX_MESSAGE_HEADER_BYTES; ) {
      const length = Math.max(IPFIX_MESSAGE_HEADER_BYTES, given.readUInt16BE(at + 2));
      this.#takeInto(domains, given.subarray(at, at + length));
      at += length;
    }
    this.#messages = given;
    return domains;
  }

  #takeInto(domains: Map<number, Domain>, message: Buffer): void {
    for (let at = IPFIX_MESSAGE_HEADER_BYTES; message.length - at >= IPFIX_SET_HEADER_BYTES; ) {
      const set = message.readUInt16BE(at);
      const length = Math.max(IPFIX_SET_HEADER_BYTES, message.readUInt16BE(at + 2));
      if (set === IPFIX_SET.templates || set === IPFIX_SET.optionsTemplates) {
        this.#takeSet(domains, message, set, at + IPFIX_SET_HEADER_BYTES, Math.min(message.length, at + length));
      }
      at += length;
    }
  }

  #takeSet(domains: Map<number, Domain>, message: Buffer, set: number, from: number, end: number): void {
    for (let at = from; end - at >= 4; ) {
      const id = message.readUInt16BE(at);
      const fields = message.readUInt16BE(at + 2);
      if (fields === 0) {
        if (id === 0) return;
        this.#withdraw(domains, message, set, id);
        at += 4;
        continue;
      }
      const next = endOfTemplate(message, set, at, end);
      if (id < IPFIX_SET.firstData || next === undefined) return;
      this.#define(domains, message, set, message.subarray(at, next));
      at = next;
    }
  }

  #define(domains: Map<number, Domain>, message: Buffer, set: number, template: Buffer): void {
    const key = message.readUInt32BE(DOMAIN_AT);
    const domain = domains.get(key) ?? newDomain(message);
    const id = template.readUInt16BE(0);
    if (domain.kinds.get(set)?.get(id)?.equals(template) === true) return;
    for (const kind of domain.kinds.values()) this.#forget(kind, id);
    domain.kinds.get(set)?.set(id, Buffer.from(template));
    this.#bytes += template.length + AROUND_BYTES;
    domains.set(key, domain);
    this.#changed(domain, message);
  }

  /** An id of its own set withdraws all templates of that kind (RFC 7011, 8.1). */
  #withdraw(domains: Map<number, Domain>, message: Buffer, set: number, id: number): void {
    const key = message.readUInt32BE(DOMAIN_AT);
    const domain = domains.get(key);
    const kind = domain?.kinds.get(set);
    if (domain === undefined || kind === undefined) return;
    const before = kind.size;
    if (id === set) for (const each of [...kind.keys()]) this.#forget(kind, each);
    else this.#forget(kind, id);
    if (kind.size === before) return;
    if ([...domain.kinds.values()].every(({ size }) => size === 0)) domains.delete(key);
    this.#changed(domain, message);
  }

  #forget(kind: Map<number, Buffer>, id: number): void {
    const template = kind.get(id);
    if (template === undefined) return;
    this.#bytes -= template.length + AROUND_BYTES;
    kind.delete(id);
  }

  #changed(domain: Domain, message: Buffer): void {
    domain.header = Buffer.from(message.subarray(0, IPFIX_MESSAGE_HEADER_BYTES));
    this.#messages = undefined;
  }
}

/** The end of the template record at `at`; undefined where it does not end within the set. */
function endOfTemplate(message: Buffer, set: number, at: number, setEnd: number): number | undefined {
  const fields = message.readUInt16BE(at + 2);
  let next = at + (set === IPFIX_SET.optionsTemplates ? 6 : 4);
  for (let field = 0; field < fields; field++) {
    if (setEnd - next < 4) return undefined;
    next += (message.readUInt16BE(next) & ENTERPRISE_BIT) === 0 ? 4 : 8;
  }
  return next > setEnd ? undefined : next;
}

function newDomain(header: Buffer): Domain {
  return {
    header,
    kinds: new Map([
      [IPFIX_SET.templates, new Map<number, Buffer>()],
      [IPFIX_SET.optionsTemplates, new Map<number, Buffer>()],
    ]),
  };
}

/** As few messages as hold a domain's templates. */
function messagesOf({ header, kinds }: Domain): Buffer[] {
  const messages: Buffer[] = [];
  for (const [set, templates] of kinds) {
    let body: Buffer[] = [];
    let length = AROUND_BYTES;
    const close = (): void => {
      if (body.length > 0) messages.push(Buffer.concat([...heads(header, set, length), ...body]));
      body = [];
      length = AROUND_BYTES;
    };
    for (const template of templates.values()) {
      if (length + template.length > MAX_MESSAGE_BYTES) close();
      body.push(template);
      length += template.length;
    }
    close();
  }
  return messages;
}

function heads(header: Buffer, set: number, messageBytes: number): Buffer[] {
  const head = Buffer.from(header);
  head.writeUInt16BE(messageBytes, 2);
  const setHead = Buffer.alloc(IPFIX_SET_HEADER_BYTES);
  setHead.writeUInt16BE(set, 0);
  setHead.writeUInt16BE(messageBytes - IPFIX_MESSAGE_HEADER_BYTES, 2);
  return [head, setHead];
}
