import { useClipboard } from '@mantine/hooks';
import { IconCheck, IconCopy } from '@tabler/icons-react';
import classes from './parts.module.css';

/** Puts a text into the clipboard. @param what it is, for its name: `Copy uuid` */
export function CopyButton({ value, what }: { value: string; what: string }) {
  const { copied, copy } = useClipboard({ timeout: 1_000 });
  const label = copied ? 'Copied' : `Copy ${what}`;
  // A plain button: there is one in each row of the long lists.
  return (
    <button
      type="button"
      className={classes.copy}
      aria-label={label}
      title={label}
      onClick={(event) => {
        event.stopPropagation();
        copy(value);
      }}
    >
      {copied ? <IconCheck size={14} /> : <IconCopy size={14} />}
    </button>
  );
}
