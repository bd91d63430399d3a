import { formatAgo, formatLocal, formatUtc } from './format.ts';
import { useNow } from './now.tsx';

/**
 * A moment: in the reader's time zone, or how long ago; UTC on hover.
 * @param at ms since 1970; null for never
 */
export function Time({ at, ago = false, never = 'never' }: { at: number | null; ago?: boolean; never?: string }) {
  const now = useNow();
  if (at === null) return <span className="dimmed">{never}</span>;
  const local = formatLocal(at);
  return (
    <time
      dateTime={new Date(at).toISOString()}
      title={ago ? `${local} (local)\n${formatUtc(at)}` : formatUtc(at)}
      className="nowrap numbers"
    >
      {ago ? formatAgo(at, now) : local}
    </time>
  );
}
