import type { ReactNode } from 'react';
import classes from './parts.module.css';

/** A state in a word, with a mark. Shape and word say it too, not colour alone. */
export function Tone({
  tone,
  shape,
  title,
  children,
}: {
  tone: 'good' | 'calm' | 'warn' | 'bad' | 'idle' | 'special';
  shape?: 'hollow' | 'square' | undefined;
  /** Shown on hover. */
  title?: string | undefined;
  children: ReactNode;
}) {
  return (
    <span
      className={classes.state}
      data-tone={tone}
      data-hollow={shape === 'hollow' || undefined}
      data-square={shape === 'square' || undefined}
      title={title}
    >
      <i aria-hidden="true" />
      <span className="ellipsis">{children}</span>
    </span>
  );
}
