const NEWLINE = 0x0a;

/** These one behind the other, a newline behind each. */
export function joinLines(lines: readonly Buffer[]): Buffer {
  let bytes = lines.length;
  for (const line of lines) bytes += line.length;
  const run = Buffer.allocUnsafe(bytes);
  let at = 0;
  for (const line of lines) {
    at += line.copy(run, at);
    run[at++] = NEWLINE;
  }
  return run;
}

/** For each line the offset behind its newline. */
export function lineEnds(run: Buffer): number[] {
  const ends: number[] = [];
  for (let at = run.indexOf(NEWLINE); at !== -1; at = run.indexOf(NEWLINE, at + 1)) ends.push(at + 1);
  return ends;
}
