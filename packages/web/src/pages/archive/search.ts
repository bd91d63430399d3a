/** What the archive's address says: whose files are shown. */
export interface ArchiveSearch {
  readonly sensor?: string;
  readonly type?: string;
}

/** Reads the address; what makes no sense is left out. */
export function archiveSearch(search: Record<string, unknown>): ArchiveSearch {
  const { sensor, type } = search;
  return {
    ...(typeof sensor === 'string' && sensor !== '' && { sensor }),
    ...((typeof type === 'string' || typeof type === 'number') && type !== '' && { type: String(type) }),
  };
}
