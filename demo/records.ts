import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What a sensor sends next. Its first part begins a stream (a capture's header), the others follow, again and again. */
export interface Source {
  /** Sent once at the beginning of a connection. */
  readonly head: Buffer;
  next(): Buffer;
}

const SAMPLES = join(import.meta.dirname, '..', 'test', 'data', 'samples');
const sample = (name: string): Buffer => readFileSync(join(SAMPLES, name));

/** The packets of a capture (libpcap, little-endian), captured now. */
export function packets(name: string): Source {
  const file = sample(name);
  const all: Buffer[] = [];
  for (let at = 24; at + 16 <= file.length; ) {
    const end = at + 16 + file.readUInt32LE(at + 8);
    all.push(Buffer.from(file.subarray(at, end)));
    at = end;
  }
  return source(file.subarray(0, 24), all, (packet) => {
    const now = Date.now();
    packet.writeUInt32LE(Math.floor(now / 1_000), 0);
    packet.writeUInt32LE((now % 1_000) * 1_000, 4);
    return packet;
  });
}

/** The blocks of a capture (pcapng, little-endian, microseconds), captured now. */
export function blocks(name: string): Source {
  const file = sample(name);
  const head: Buffer[] = [];
  const all: Buffer[] = [];
  for (let at = 0; at + 12 <= file.length; ) {
    const end = at + file.readUInt32LE(at + 4);
    const isPacket = file.readUInt32LE(at) === 6;
    (isPacket ? all : head).push(Buffer.from(file.subarray(at, end)));
    at = end;
  }
  return source(Buffer.concat(head), all, (block) => {
    const now = BigInt(Date.now()) * 1_000n;
    block.writeUInt32LE(Number(now >> 32n), 12);
    block.writeUInt32LE(Number(now & 0xffff_ffffn), 16);
    return block;
  });
}

/** The lines of a sample, one after another. @param renew puts the present time, or anything else new, into a line */
export function sampleLines(name: string, renew: (line: string, at: number) => string): Source {
  const lines = sample(name).toString('utf8').trimEnd().split('\n');
  return made((count) => `${renew(lines[count % lines.length] ?? '', count)}\n`);
}

/** The records of dnscap's output: each begins with `[`. */
export function dnscap(): Source {
  const records = sample('dnscap.txt')
    .toString('utf8')
    .split(/^(?=\[)/m);
  return made((count) => {
    const record = records[count % records.length] ?? '';
    return record.replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/, new Date().toISOString().slice(0, 19).replace('T', ' '));
  });
}

/** What is made by a function of how many there were before. */
export function made(record: (count: number) => string): Source {
  let count = 0;
  return { head: Buffer.alloc(0), next: () => Buffer.from(record(count++)) };
}

/** Flows as YAF exports them: IPFIX messages (RFC 7011), the first with the template. */
export function flows(): Source {
  const fields = [8, 4, 12, 4, 7, 2, 11, 2, 4, 1, 1, 4];
  const template = Buffer.alloc(8 + fields.length * 2);
  for (const [at, value] of [2, template.length, 256, fields.length / 2, ...fields].entries()) {
    template.writeUInt16BE(value, at * 2);
  }
  let sequence = 0;
  function message(set: Buffer, records: number): Buffer {
    const header = Buffer.alloc(16);
    header.writeUInt16BE(10, 0);
    header.writeUInt16BE(16 + set.length, 2);
    header.writeUInt32BE(Math.floor(Date.now() / 1_000), 4);
    header.writeUInt32BE(sequence, 8);
    sequence += records;
    return Buffer.concat([header, set]);
  }
  return {
    get head() {
      return message(template, 0);
    },
    next() {
      const set = Buffer.alloc(4 + 17);
      set.writeUInt16BE(256, 0);
      set.writeUInt16BE(set.length, 2);
      set.set([192, 0, 2, 1 + (sequence % 250), 198, 51, 100, 1 + (sequence % 90)], 4);
      set.writeUInt16BE(40_000 + (sequence % 20_000), 12);
      set.writeUInt16BE([443, 53, 80, 22, 993][sequence % 5] ?? 443, 14);
      set.writeUInt8(sequence % 5 === 1 ? 17 : 6, 16);
      set.writeUInt32BE(60 + ((sequence * 977) % 90_000), 17);
      return message(set, 1);
    },
  };
}

const HOSTS = ['gate', 'mail', 'www', 'files', 'build'];
const USERS = ['admin', 'oracle', 'pi', 'git', 'backup', 'test'];

/** Lines of a host's log: logins that fail, mostly. */
export function hostLog(): Source {
  return made((count) => {
    const time = new Date().toISOString();
    const host = HOSTS[count % HOSTS.length];
    const address = `203.0.113.${1 + ((count * 37) % 254)}`;
    const port = 30_000 + ((count * 7_919) % 30_000);
    return count % 7 === 6
      ? `${time} ${host} CRON[${1_000 + count}]: (root) CMD (run-parts /etc/cron.hourly)\n`
      : `${time} ${host} sshd[${2_000 + count}]: Failed password for invalid user ${USERS[count % USERS.length]} from ${address} port ${port} ssh2\n`;
  });
}

function source(head: Buffer, all: readonly Buffer[], renew: (part: Buffer) => Buffer): Source {
  let at = 0;
  return { head, next: () => renew(Buffer.from(all[at++ % all.length] ?? head)) };
}
