/** A part of a home. */
export type CheckedPart = 'home' | 'keys' | 'registry' | 'ledger' | 'threats' | 'sessions' | 'journal' | 'archive';

/** Something that is not as it should be. */
export interface Finding {
  readonly part: CheckedPart;
  readonly path: string;
  /** What was found. */
  readonly what: string;
  /** What is gone by it; undefined where nothing is. */
  readonly lost?: string;
  /** What `--repair` does about it, or has done; undefined where nothing can be done. */
  readonly repair?: string;
  /** Whether it was done. */
  readonly mended: boolean;
}

/** Something that is worth saying, though nothing is wrong. */
export interface Note {
  readonly part: CheckedPart;
  readonly path: string;
  readonly what: string;
}

/** What a check of a home has found. */
export interface HomeCheck {
  readonly home: string;
  /** The version of the program that has looked. */
  readonly version: string;
  readonly findings: readonly Finding[];
  readonly notes: readonly Note[];
  readonly looked: {
    readonly segments: number;
    readonly entries: number;
    readonly journalBytes: number;
    readonly archivedFiles: number;
    /** Files of the archive of which the content was compared too. */
    readonly hashedFiles: number;
  };
}

/** Gathers what is found. */
export class Findings {
  readonly findings: Finding[] = [];
  readonly notes: Note[] = [];
  /** Whether what can be mended is to be mended. */
  readonly #repair: boolean;

  constructor(repair: boolean) {
    this.#repair = repair;
  }

  /**
   * Something that can be mended, and is, where that was asked for.
   * @param repair what that does, in words
   */
  async mendable(
    finding: Omit<Finding, 'repair' | 'mended'>,
    repair: string,
    mend: () => void | Promise<void>,
  ): Promise<void> {
    if (this.#repair) await mend();
    this.findings.push({ ...finding, repair, mended: this.#repair });
  }

  /** Something that nobody but its operator can mend, or that the next start of the server does. */
  damaged(finding: Omit<Finding, 'mended'>): void {
    this.findings.push({ ...finding, mended: false });
  }

  note(part: CheckedPart, path: string, what: string): void {
    this.notes.push({ part, path, what });
  }
}
