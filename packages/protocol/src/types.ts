/** The wire types by name (docs/d4-protocol.md). */
export const WIRE_TYPE = {
  pcap: 1,
  metaHeader: 2,
  lines: 3,
  dnscap: 4,
  pcapng: 5,
  ndjson: 6,
  yaf: 7,
  passivedns: 8,
  /** As the meta header before it declares. */
  declared: 254,
} as const;

/** The property of a meta header that lists the servers which have forwarded the stream (docs/exporters.md). */
export const FORWARDED_BY = 'd4-forwarded-by';

const TITLES: ReadonlyMap<number, string> = new Map([
  [1, 'libpcap capture'],
  [2, 'meta header'],
  [3, 'log lines'],
  [4, 'dnscap text'],
  [5, 'pcapng capture'],
  [6, 'JSON lines'],
  [7, 'YAF flows'],
  [8, 'passive DNS lines'],
  [254, 'declared by a meta header'],
]);

/** The wire types that the D4 documents name, in order. */
export function knownWireTypes(): number[] {
  return [...TITLES.keys()];
}

/** What a wire type carries, for people; undefined for a number that the documents do not name. */
export function wireTypeTitle(type: number): string | undefined {
  return TITLES.get(type);
}

const META_NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;
const DIGITS = /^[0-9]+$/;

/** Whether a meta type's name can be accepted: letters, digits, `_`, `-`, 1 to 64 of them, not all digits (journal rule 1). */
export function isMetaTypeName(name: string): boolean {
  return META_NAME.test(name) && !DIGITS.test(name);
}
