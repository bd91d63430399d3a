/** The polynomial of CRC-32 (zlib), bits reversed. */
const POLYNOMIAL = 0xedb88320;

/** The product of two polynomials modulo CRC-32's; x⁰ is the highest bit. */
function multiply(a: number, b: number): number {
  let product = 0;
  let shifted = b;
  for (let bit = 0x80000000; bit !== 0; bit >>>= 1) {
    if ((a & bit) !== 0) product ^= shifted;
    shifted = (shifted & 1) !== 0 ? (shifted >>> 1) ^ POLYNOMIAL : shifted >>> 1;
  }
  return product >>> 0;
}

/** x to the power of 8 × `bytes`. */
function shiftBy(bytes: number): number {
  let result = 0x80000000;
  // x⁸
  let square = 0x00800000;
  for (let rest = bytes; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) result = multiply(square, result);
    square = multiply(square, square);
  }
  return result;
}

/** The CRC-32 of two parts, one after the other. @param secondBytes length of the second */
export function crcOfBoth(first: number, second: number, secondBytes: number): number {
  return (multiply(shiftBy(secondBytes), first) ^ second) >>> 0;
}

/** The CRC-32 of the second of two parts. @param both of both, one after the other */
export function crcOfSecond(both: number, first: number, secondBytes: number): number {
  return (multiply(shiftBy(secondBytes), first) ^ both) >>> 0;
}
