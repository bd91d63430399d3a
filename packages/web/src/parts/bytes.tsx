import { formatBytes, formatCount } from './format.ts';

/** An amount of bytes; the exact number on hover. */
export function Bytes({ value, perSecond = false }: { value: number; perSecond?: boolean }) {
  const unit = perSecond ? '/s' : '';
  return (
    <span className="nowrap numbers" title={`${formatCount(value)} bytes${perSecond ? ' a second' : ''}`}>
      {formatBytes(value)}
      {unit}
    </span>
  );
}
