/** Lines of which each 500th is longer than an entry of the journal may be, and so is there in fragments. */
export function logLine(number: number): Buffer {
  return Buffer.from(`${number} ${'x'.repeat(number % 500 === 499 ? 600_000 : number % 700)}\n`);
}

/** Events as Maltrail's sensor prints them. */
export function eventLine(number: number): Buffer {
  const fields = `"2026-11-22 10:00:00.${String(number).padStart(9, '0')}" sensor 10.0.0.1 4096 192.0.2.${number % 250} 80 TCP`;
  return Buffer.from(`${fields} IP 192.0.2.${number % 250} "known attacker" (static)\n`);
}

/** The packets of a capture; its header comes with the first. */
export function packet(number: number): Buffer {
  const record = packetRecord(number);
  return number > 0 ? record : Buffer.concat([captureHeader(), record]);
}

/** A packet with its own header. */
export function packetRecord(number: number): Buffer {
  const bytes = (number * 37) % 1_400;
  const record = Buffer.alloc(16 + bytes, number % 251);
  for (const [i, value] of [1_700_000_000 + number, 0, bytes, bytes].entries()) record.writeUInt32LE(value, i * 4);
  return record;
}

/** What a pcap file begins with: 24 bytes. */
export function captureHeader(): Buffer {
  const header = Buffer.alloc(24);
  for (const [i, value] of [0xa1b2c3d4, 0x0004_0002, 0, 0, 262_144, 1].entries()) header.writeUInt32LE(value, i * 4);
  return header;
}

/** What a program writes into a pipe; each of its runs has a number. */
export function pipeLine(run: number, line: number): string {
  return `pipe ${run} ${line} ${'p'.repeat((line * 31) % 300)}\n`;
}

/** Lines that do not compress, so that limits of size are reached. */
export function noiseLine(run: number, line: number): string {
  let text = `${run} ${line}`;
  for (let i = 0, state = Math.imul(run, 0x9e37_79b1) ^ line; i < 40; i++) {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b_3c6d) + i;
    text += ` ${(state >>> 0).toString(36)}`;
  }
  return `${text}\n`;
}
