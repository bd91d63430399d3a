/** An IPv4 address, of the four bytes at `at`. */
export function addressText4(bytes: Buffer, at: number): string {
  return bytes.subarray(at, at + 4).join('.');
}

/** An IPv6 address as RFC 5952 writes it, of the 16 bytes at `at`. */
export function addressText6(bytes: Buffer, at: number): string {
  const groups = Array.from({ length: 8 }, (_, group) => bytes.readUInt16BE(at + group * 2));
  let best = { from: -1, length: 1 };
  for (let from = 0; from < 8; from += 1) {
    let length = 0;
    while (groups[from + length] === 0) length += 1;
    if (length > best.length) best = { from, length };
    from += length;
  }
  const text = (part: readonly number[]): string => part.map((group) => group.toString(16)).join(':');
  if (best.from === -1) return text(groups);
  return `${text(groups.slice(0, best.from))}::${text(groups.slice(best.from + best.length))}`;
}

/** Both ends with their ports. */
export function portsText([from, to]: readonly [string, string], fromPort: number, toPort: number): string {
  return `${withPort(from, fromPort)} > ${withPort(to, toPort)}`;
}

function withPort(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
