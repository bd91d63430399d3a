import { type ReactNode, useEffect, useId } from 'react';
import classes from './parts.module.css';
import { useScrolls } from './width.ts';

/** The frame of a page: its title, what it is for, and what can be done on it. */
export function Page({
  title,
  heading,
  about,
  actions,
  children,
}: {
  title: string;
  /** Shown instead of the title, where it is more than a text. */
  heading?: ReactNode;
  about?: ReactNode;
  actions?: ReactNode;
  children: ReactNode;
}) {
  useEffect(() => {
    document.title = `${title} · D4`;
  }, [title]);
  return (
    <>
      <header className={classes.pageHead}>
        <div style={{ minWidth: 0 }}>
          <h1 style={{ margin: 0, fontSize: '1.375rem', lineHeight: 1.3, overflowWrap: 'anywhere' }}>
            {heading ?? title}
          </h1>
          {about !== undefined && <p>{about}</p>}
        </div>
        {actions !== undefined && <div style={{ display: 'flex', gap: 8, flexWrap: 'wrap' }}>{actions}</div>}
      </header>
      {children}
    </>
  );
}

/** A titled part of a page. */
export function Panel({
  title,
  actions,
  flush = false,
  children,
}: {
  title?: ReactNode;
  actions?: ReactNode;
  /** Without inner space: for tables. */
  flush?: boolean;
  children: ReactNode;
}) {
  const id = useId();
  const [scrolls, watch] = useScrolls();
  return (
    <section className={classes.panel} aria-labelledby={title === undefined ? undefined : id}>
      {title !== undefined && (
        <div className={classes.panelHead}>
          <h2 id={id} style={{ margin: 0 }}>
            {title}
          </h2>
          {actions}
        </div>
      )}
      {flush ? (
        <div
          className={classes.scroll}
          {...(scrolls && { tabIndex: 0, role: 'group', 'aria-label': 'Scrolls sideways' })}
          ref={watch}
        >
          {children}
        </div>
      ) : (
        <div className={classes.panelBody}>{children}</div>
      )}
    </section>
  );
}

/** Names and what they are. Entries that are undefined are left out. */
export function Facts({ facts }: { facts: readonly (readonly [name: string, value: ReactNode] | undefined)[] }) {
  return (
    <dl className={classes.facts}>
      {facts.map(
        (fact) =>
          fact !== undefined && (
            <div key={fact[0]} style={{ display: 'contents' }}>
              <dt>{fact[0]}</dt>
              <dd>{fact[1]}</dd>
            </div>
          ),
      )}
    </dl>
  );
}

/** Says that there is nothing, and what to do next. */
export function Empty({
  icon,
  title,
  children,
  action,
}: {
  icon?: ReactNode;
  title: string;
  children?: ReactNode;
  action?: ReactNode;
}) {
  return (
    <div className={classes.empty}>
      {icon}
      <strong>{title}</strong>
      {children !== undefined && <p>{children}</p>}
      {action}
    </div>
  );
}

/** Text for a terminal or a program, to be copied whole. */
export function Code({
  children,
  label,
  copy,
  wrap = false,
}: {
  children: string;
  label: string;
  copy: ReactNode;
  /** In as many lines as it takes: for one long line. */
  wrap?: boolean;
}) {
  return (
    <div className={classes.code}>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keyboard */}
      <section tabIndex={0} aria-label={label}>
        <pre style={wrap ? { whiteSpace: 'pre-wrap', overflowWrap: 'anywhere' } : undefined}>{children}</pre>
      </section>
      {copy}
    </div>
  );
}
