import { D4Error } from '@d4ts/protocol';
import { MAX_MAIL_LENGTH } from '../schema-parts.ts';

/** Not whether there is such a mailbox, only that it can be one, and can be written in a log, a page and a URL. */
const MAIL = /^[^\s@\p{C}]+@[^\s@\p{C}]+$/u;

/**
 * A user's mail address as the registry has it: lower case, without spaces around it.
 * @throws {D4Error} D4_BAD_REQUEST
 */
export function userMail(text: string): string {
  const mail = text.trim().normalize('NFC').toLowerCase();
  if (mail.length <= MAX_MAIL_LENGTH && MAIL.test(mail)) return mail;
  throw new D4Error('D4_BAD_REQUEST', 'that is no mail address: expected one such as operator@example.org');
}
