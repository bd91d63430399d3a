import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto';

/** Cost 2^15, block size 8, one lane: 32 MiB and some 80 ms for each guess. */
const COST = { ln: 15, r: 8, p: 1 } as const;
const SALT_BYTES = 16;
const HASH_BYTES = 32;
/** Twice what the costs above need. */
const MAX_MEMORY = 64 * 1024 * 1024;
const PHC = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/;

/** Hashes a password with scrypt and a random salt, as a PHC string: `$scrypt$ln=15,r=8,p=1$<salt>$<hash>`. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(SALT_BYTES);
  const hash = await derive(password, salt, HASH_BYTES, COST);
  return `$scrypt$ln=${COST.ln},r=${COST.r},p=${COST.p}$${withoutPadding(salt)}$${withoutPadding(hash)}`;
}

/** Whether the password is the one of a PHC string that `hashPassword` made; compared in constant time. */
export async function verifyPassword(password: string, phc: string): Promise<boolean> {
  const [, ln, r, p, salt, hash] = PHC.exec(phc) ?? [];
  if (salt === undefined || hash === undefined) return false;
  const expected = Buffer.from(hash, 'base64');
  const cost = { ln: Number(ln), r: Number(r), p: Number(p) };
  const actual = await derive(password, Buffer.from(salt, 'base64'), expected.length, cost);
  return timingSafeEqual(actual, expected);
}

function derive(
  password: string,
  salt: Buffer,
  bytes: number,
  { ln, r, p }: { ln: number; r: number; p: number },
): Promise<Buffer> {
  const options = { N: 2 ** ln, r, p, maxmem: MAX_MEMORY };
  return new Promise((resolve, reject) => {
    scrypt(password.normalize('NFKC'), salt, bytes, options, (error, hash) => (error ? reject(error) : resolve(hash)));
  });
}

function withoutPadding(bytes: Buffer): string {
  return bytes.toString('base64').replaceAll('=', '');
}
