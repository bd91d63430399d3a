/** What the server, or the way to it, answered instead of what was wanted. */
export class Problem extends Error {
  /** Stable (`D4_…`); match on it, never on the message. */
  readonly code: string;
  /** HTTP's; 0 where no answer came. */
  readonly status: number;

  constructor(code: string, message: string, status: number) {
    super(message);
    this.code = code;
    this.status = status;
  }
}

/** Whatever was thrown, as a problem. */
export function problemOf(error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof TypeError) {
    return new Problem('D4_UNREACHABLE', 'the server does not answer: it may have stopped, or the network is down', 0);
  }
  return new Problem('D4_PAGE', error instanceof Error ? error.message : String(error), 0);
}
