import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { D4Error } from '@d4ts/protocol';
import { writeFileDurably } from './durable-file.ts';

const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
/** In front of what is sealed: the scheme, so that another one can follow. */
const SCHEME = 'aes256gcm:';

/** Encrypts and decrypts single values with the home's key file (AES-256-GCM, a random nonce for each value). */
export interface Vault {
  /** @param label what the value is and whose: a sealed value opens under its own label only */
  seal(plain: string, label: string): string;
  /** @throws {D4Error} D4_REGISTRY_KEY where the value was sealed with another key or label */
  open(sealed: string, label: string): string;
}

/**
 * Reads the key file; makes it (mode 0600) where `create` says that nothing was sealed with one yet.
 * @throws {D4Error} D4_REGISTRY_KEY where it is missing or is not a key file
 */
export function openVault(file: string, create: boolean): Vault {
  if (!existsSync(file)) {
    if (!create) {
      throw new D4Error(
        'D4_REGISTRY_KEY',
        `the key file ${file} is missing, and the sensors' keys are encrypted with it; put it back from a backup`,
      );
    }
    writeFileDurably(file, `${randomBytes(KEY_BYTES).toString('hex')}\n`, 0o600);
  }
  return vaultOf(readKey(file), file);
}

/** Whether others than the owner may read the file. */
export function isOpenToOthers(file: string): boolean {
  return process.platform !== 'win32' && (statSync(file).mode & 0o077) !== 0;
}

function readKey(file: string): Buffer {
  const text = readFileSync(file, 'latin1').trim();
  if (!/^[0-9a-f]{64}$/.test(text)) {
    throw new D4Error(
      'D4_REGISTRY_KEY',
      `${file} is not a key file: 64 hexadecimal digits are expected; put it back from a backup`,
    );
  }
  return Buffer.from(text, 'hex');
}

function vaultOf(key: Buffer, file: string): Vault {
  return {
    seal(plain, label) {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(label));
      const sealed = Buffer.concat([nonce, cipher.update(plain, 'utf8'), cipher.final(), cipher.getAuthTag()]);
      return SCHEME + sealed.toString('base64');
    },
    open(sealed, label) {
      try {
        if (!sealed.startsWith(SCHEME)) throw new Error('unknown scheme');
        const bytes = Buffer.from(sealed.slice(SCHEME.length), 'base64');
        const end = bytes.length - TAG_BYTES;
        const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, NONCE_BYTES))
          .setAAD(Buffer.from(label))
          .setAuthTag(bytes.subarray(end));
        return Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES, end)), decipher.final()]).toString('utf8');
      } catch (error) {
        throw new D4Error(
          'D4_REGISTRY_KEY',
          `${label} cannot be decrypted with the key file ${file}: is it the right one?`,
          error,
        );
      }
    },
  };
}
