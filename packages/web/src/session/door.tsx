import { Skeleton, Stack } from '@mantine/core';
import { type ReactNode, useEffect } from 'react';
import logo from '../favicon.svg';
import classes from './door.module.css';

/** What stands before the pages: a card in the middle. */
export function Door({
  title = 'D4',
  busy = false,
  children,
}: {
  title?: string;
  busy?: boolean;
  children?: ReactNode;
}) {
  useEffect(() => {
    document.title = title === 'D4' ? 'D4' : `${title} · D4`;
  }, [title]);
  return (
    <main className={classes.door}>
      <div className={classes.card}>
        <div className={classes.head}>
          <img src={logo} width={36} height={36} alt="" />
          <h1>{title}</h1>
        </div>
        {busy ? (
          <Stack role="status" aria-label="Loading">
            <Skeleton height={34} />
            <Skeleton height={34} />
          </Stack>
        ) : (
          children
        )}
      </div>
    </main>
  );
}
