const EQUALS = 0x3d;
const CARRIAGE_RETURN = 0x0d;

/**
 * Decodes base64 text, with or without padding, `\r` behind it allowed.
 * @returns undefined where it is not base64 from end to end, or nothing
 */
export function decodeBase64(text: Buffer): Buffer | undefined {
  let end = text.length;
  if (text[end - 1] === CARRIAGE_RETURN) end -= 1;
  for (let padding = 0; padding < 2 && text[end - 1] === EQUALS; padding++) end -= 1;
  // The decoder leaves out what it does not know, so that then the length is not what it should be.
  const expected = Math.floor((end * 3) / 4);
  const decoded = Buffer.from(text.toString('latin1', 0, end), 'base64');
  return end % 4 === 1 || decoded.length !== expected || expected === 0 ? undefined : decoded;
}
