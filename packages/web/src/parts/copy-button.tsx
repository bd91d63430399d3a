import { useState } from 'react';
import classes from './parts.module.css';

/** So long it says that it has copied, ms. */
const COPIED_MS = 1_000;

/** Puts a text into the clipboard. @param what it is, for its name: `Copy uuid` */
export function CopyButton({ value, what }: { value: string; what: string }) {
  const [copied, setCopied] = useState(false);
  const label = copied ? 'Copied' : `Copy ${what}`;
  // A plain button whose mark is the style sheet's: there is one in each row of the long lists.
  return (
    <button
      type="button"
      className={classes.copy}
      data-copied={copied || undefined}
      aria-label={label}
      title={label}
      onClick={async (event) => {
        event.stopPropagation();
        await navigator.clipboard.writeText(value);
        setCopied(true);
        setTimeout(() => setCopied(false), COPIED_MS);
      }}
    />
  );
}
