/** What a `gap` entry of the journal says (docs/journal.md, rules 12, 31 and 40). */
export interface GapFacts {
  /** Bytes of the stream, `[from, to)`; of a damaged place bytes of the segment. Undefined where that is not known. */
  readonly from: number | undefined;
  readonly to: number | undefined;
  readonly cause: string;
  /**
   * `left-out`: the bytes came, and the format could not keep them. `missing`: they never came in an acknowledged stream: the sensor
   * says so, or the server has lost what the sensor does not have any more. `damage`: recovery found the journal damaged.
   */
  readonly kind: 'left-out' | 'missing' | 'damage';
}

/** Reads the body of a `gap` entry; what cannot be read is damage of unknown extent. */
export function gapFacts(body: Buffer): GapFacts {
  const fields = parsed(body);
  const from = numberIn(fields.from);
  const to = numberIn(fields.to);
  const { why } = fields;
  if (typeof why === 'string') return { from, to, cause: why, kind: fields.missing === true ? 'missing' : 'left-out' };
  const cause = fields.fromSequence === undefined ? 'journal-damaged' : 'journal-entries-lost';
  return { from, to, cause, kind: 'damage' };
}

function parsed(body: Buffer): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'));
    return typeof value === 'object' && value !== null ? { ...value } : {};
  } catch {
    return {};
  }
}

function numberIn(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}
