/** What the audit's address says: which records are shown. */
export interface AuditSearch {
  readonly text?: string;
  readonly who?: string;
  readonly kind?: string;
}

/** Reads the address; what makes no sense is left out. */
export function auditSearch({ text, who, kind }: Record<string, unknown>): AuditSearch {
  return {
    ...(typeof text === 'string' && text !== '' && { text }),
    ...(typeof who === 'string' && who !== '' && { who }),
    ...(typeof kind === 'string' && kind !== '' && { kind }),
  };
}
