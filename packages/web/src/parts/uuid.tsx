import { CopyButton } from './copy-button.tsx';
import { shortUuid } from './format.ts';
import classes from './parts.module.css';

/** A uuid: short unless it is to be read whole, and always copied whole. */
export function Uuid({ value, whole = false }: { value: string; whole?: boolean }) {
  return (
    <span className={classes.uuid}>
      <span
        className={whole ? 'mono' : 'mono nowrap'}
        title={value}
        style={whole ? { overflowWrap: 'anywhere' } : undefined}
      >
        {whole ? value : shortUuid(value)}
      </span>
      <CopyButton value={value} what="uuid" />
    </span>
  );
}
