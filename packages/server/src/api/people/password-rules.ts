import { D4Error } from '@d4ts/protocol';

const MIN_LENGTH = 12;
const MAX_BYTES = 1_024;
const MIN_DIFFERENT = 5;
/** A part of a password that is not a known pattern has to be at least this long. */
const MIN_REST = 6;

/** Rows of keys and other sequences that people slide along. */
const SEQUENCES = [
  'abcdefghijklmnopqrstuvwxyz',
  '01234567890123456789',
  'qwertyuiop',
  'asdfghjkl',
  'zxcvbnm',
  'qwertzuiop',
  'yxcvbnm',
  'azertyuiop',
  'qsdfghjklm',
  'wxcvbn',
  'qazwsxedcrfvtgbyhnujmikolp',
  '1qaz2wsx3edc4rfv5tgb6yhn7ujm',
  '1q2w3e4r5t6y7u8i9o0p',
];
/** Shortest run along a sequence that counts as one. */
const MIN_RUN = 4;

/** What leaked passwords are made of, beside names; without the characters that stand for letters. */
const WORDS = [
  'password',
  'passwort',
  'passphrase',
  'motdepasse',
  'contrasena',
  'changeme',
  'changethis',
  'letmein',
  'welcome',
  'administrator',
  'administrateur',
  'admin',
  'default',
  'secret',
  'private',
  'system',
  'server',
  'sensor',
  'network',
  'security',
  'access',
  'login',
  'master',
  'superuser',
  'root',
  'user',
  'guest',
  'test',
  'temp',
  'demo',
  'hello',
  'iloveyou',
  'princess',
  'sunshine',
  'dragon',
  'monkey',
  'football',
  'baseball',
  'basketball',
  'superman',
  'batman',
  'pokemon',
  'starwars',
  'trustno',
  'whatever',
  'google',
  'microsoft',
  'windows',
  'facebook',
  'computer',
  'internet',
  'company',
  'project',
  'correcthorsebatterystaple',
  'spring',
  'summer',
  'autumn',
  'winter',
  'january',
  'february',
  'monday',
  'friday',
  'this',
  'new',
  'old',
  'the',
  'for',
  'key',
  'my',
  'is',
  'to',
  'me',
  'it',
].sort((a, b) => b.length - a.length);

/** Characters that stand for letters. */
const LETTERS: Readonly<Record<string, string>> = {
  '@': 'a',
  '4': 'a',
  '3': 'e',
  '1': 'i',
  '!': 'i',
  '0': 'o',
  $: 's',
  '5': 's',
  '7': 't',
};

/**
 * Judges a new password: by its length, and by what attackers try first; not by kinds of characters.
 * @param mail the user's
 * @throws {D4Error} D4_BAD_PASSWORD, saying what to do
 */
export function checkNewPassword(password: string, mail: string): void {
  const bytes = Buffer.byteLength(password);
  if (bytes > MAX_BYTES) throw bad(`it has ${bytes} bytes; at most ${MAX_BYTES} are taken`);
  const characters = [...password.normalize('NFKC')];
  if (characters.length < MIN_LENGTH) {
    throw bad(`it has ${characters.length} characters; use at least ${MIN_LENGTH}, for example four words by chance`);
  }
  if (new Set(characters).size < MIN_DIFFERENT) throw bad('it repeats a few characters; use more different ones');
  const text = characters.join('').toLowerCase();
  if (isRepetition(text)) throw bad('it repeats itself; use something longer that does not');
  const rest = withoutMail(text, mail);
  if (rest.length < MIN_REST) throw bad('it is little more than the mail address; use something else');
  if (restOfPatterns(rest).length < MIN_REST) {
    throw bad('it is made of what is tried first, such as "password", "qwerty" or "1234"; use words by chance');
  }
}

/** Whether a text is a short part over and over (`abc1abc1abc1`). */
function isRepetition(text: string): boolean {
  return /^(.{1,8}?)\1+.{0,7}$/su.test(text) && new Set(text).size <= 8;
}

function withoutMail(text: string, mail: string): string {
  const [local = '', domain = ''] = mail.split('@');
  let rest = text.replaceAll(mail, '');
  for (const part of [local, domain, ...domain.split('.')]) {
    if (part.length >= 4) rest = rest.replaceAll(part, '');
  }
  return rest;
}

/** What is left when runs along keys, years, and words that leaked passwords are made of are taken out. */
function restOfPatterns(text: string): string {
  const rests = [text, [...text].map((character) => LETTERS[character] ?? character).join('')].map((form) =>
    lettersAndDigits(withoutWords(withoutRuns(form))),
  );
  return rests.reduce((shortest, rest) => (rest.length < shortest.length ? rest : shortest));
}

function withoutRuns(text: string): string {
  let rest = '';
  for (let at = 0; at < text.length; ) {
    const run = longestRun(text, at);
    if (run < MIN_RUN) {
      rest += text.charAt(at);
      at += 1;
    } else {
      at += run;
    }
  }
  return rest;
}

function longestRun(text: string, at: number): number {
  let longest = 0;
  for (const forwards of SEQUENCES) {
    for (const sequence of [forwards, [...forwards].reverse().join('')]) {
      let length = longest;
      while (at + length < text.length && sequence.includes(text.slice(at, at + length + 1))) length += 1;
      if (length > longest && sequence.includes(text.slice(at, at + length))) longest = length;
    }
  }
  return longest;
}

function withoutWords(text: string): string {
  return WORDS.reduce((rest, word) => rest.replaceAll(word, ''), text).replaceAll(/(?:19|20)\d\d/g, '');
}

function lettersAndDigits(text: string): string {
  return text.replaceAll(/[^\p{L}\p{N}]/gu, '');
}

function bad(why: string): D4Error {
  return new D4Error('D4_BAD_PASSWORD', `the new password cannot be taken: ${why}`);
}
