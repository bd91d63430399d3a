/** How bad something is, the worst first. */
export const SEVERITIES = ['high', 'medium', 'low'] as const;

/** By what threats can be in order. */
export const THREAT_ORDERS = ['last', 'first', 'events', 'severity'] as const;

/** What the address of the Maltrail page says: which threats are shown, and in what order. */
export interface MaltrailSearch {
  readonly text?: string;
  readonly severity?: (typeof SEVERITIES)[number];
  readonly sensor?: string;
  readonly source?: string;
  readonly trail?: string;
  readonly sort?: (typeof THREAT_ORDERS)[number];
}

/** Reads the address; what makes no sense is left out. */
export function maltrailSearch(search: Record<string, unknown>): MaltrailSearch {
  const severity = SEVERITIES.find((known) => known === search.severity);
  const sort = THREAT_ORDERS.find((known) => known === search.sort);
  const texts = ['text', 'sensor', 'source', 'trail'].flatMap((name) => {
    const value = search[name];
    return (typeof value === 'string' || typeof value === 'number') && value !== '' ? [[name, String(value)]] : [];
  });
  return { ...Object.fromEntries(texts), ...(severity && { severity }), ...(sort && { sort }) };
}
