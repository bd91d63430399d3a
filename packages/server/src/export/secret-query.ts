import { D4Error } from '@d4ts/protocol';
import type { ExporterSecrets, ExporterTarget } from '../registry/exporter.ts';

/** Stands for a value that is not shown. */
const MASK = '***';

/** Where an exporter sends, and what must not be shown of that. */
export interface OpenTargetSettings {
  readonly target: ExporterTarget;
  readonly secrets: ExporterSecrets;
}

/** The same as it is stored: the values in the query of an address are among the secrets, and masked in the target. */
export interface SealedTargetSettings {
  readonly target: ExporterTarget;
  /** JSON; encrypted where it is stored. */
  readonly secrets: string;
}

/** What an exporter's secrets are where they are stored. */
interface StoredSecrets extends ExporterSecrets {
  /** The query of the address as it was given. */
  readonly query?: string;
}

/** Settings as they are stored and shown: an API's token often stands in the query of its address. */
export function sealed({ target, secrets }: OpenTargetSettings): SealedTargetSettings {
  if (target.kind !== 'http') return { target, secrets: JSON.stringify(secrets) };
  const { before, query, behind } = partsOf(target.url);
  if (query === undefined) return { target, secrets: JSON.stringify(secrets) };
  const url = `${before}?${piecesOf(query).map(masked).join('&')}${behind}`;
  return { target: { ...target, url }, secrets: JSON.stringify({ ...secrets, query }) };
}

/** Settings as they were given. */
export function unsealed({ target, secrets: text }: SealedTargetSettings): OpenTargetSettings {
  const { query, ...secrets }: StoredSecrets = JSON.parse(text);
  if (target.kind !== 'http' || query === undefined) return { target, secrets };
  const { before, behind } = partsOf(target.url);
  return { target: { ...target, url: `${before}?${query}${behind}` }, secrets };
}

/**
 * Settings after a change. What is masked in an address keeps its value, and headers stay, as long as they go to the same
 * server: an address that is changed must not make the exporter give its secrets to somebody else.
 * @throws {D4Error} D4_BAD_EXPORTER where secrets would go to another server than they were given for
 */
export function changedSettings(
  before: OpenTargetSettings,
  { target = before.target, secrets }: Partial<OpenTargetSettings>,
): OpenTargetSettings {
  if (target.kind !== before.target.kind) return { target, secrets: secrets ?? {} };
  if (target.kind !== 'http' || before.target.kind !== 'http') return { target, secrets: secrets ?? before.secrets };
  const moves = originOf(target.url) !== originOf(before.target.url);
  if (moves && secrets === undefined && Object.keys(before.secrets.headers ?? {}).length > 0) {
    const message =
      'the address is another server’s, to which the headers that were given for the former one are not sent: give the headers with the address';
    throw new D4Error('D4_BAD_EXPORTER', message);
  }
  const url = withValues(target.url, moves ? '' : (partsOf(before.target.url).query ?? ''));
  return { target: { ...target, url }, secrets: secrets ?? before.secrets };
}

/** An address with values in place of what is masked in its query. @throws {D4Error} D4_BAD_EXPORTER */
function withValues(url: string, formerQuery: string): string {
  const { before, query, behind } = partsOf(url);
  if (query === undefined) return url;
  const former = piecesOf(formerQuery);
  const pieces = piecesOf(query).map((piece) => {
    if (masked(piece) !== piece || !piece.endsWith(MASK)) return piece;
    const at = former.findIndex((each) => masked(each) === piece);
    const [value] = at === -1 ? [] : former.splice(at, 1);
    if (value !== undefined) return value;
    const message = `"${piece}" in the address stands for a value that is not shown, and not known for this address: give the value`;
    throw new D4Error('D4_BAD_EXPORTER', message);
  });
  return `${before}?${pieces.join('&')}${behind}`;
}

function partsOf(url: string): { before: string; query: string | undefined; behind: string } {
  const [, before = url, query, behind = ''] = /^([^?#]*)(?:\?([^#]*))?(#.*)?$/s.exec(url) ?? [];
  return { before, query: query === '' ? undefined : query, behind };
}

function piecesOf(query: string): string[] {
  return query === '' ? [] : query.split('&');
}

/** `name=***`, or where there is no name, `***`. */
function masked(piece: string): string {
  const at = piece.indexOf('=');
  if (at === -1) return piece === '' ? '' : MASK;
  return at === piece.length - 1 ? piece : `${piece.slice(0, at + 1)}${MASK}`;
}

function originOf(url: string): string | undefined {
  return URL.canParse(url) ? new URL(url).origin : undefined;
}
