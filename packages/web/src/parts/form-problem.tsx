import { Alert, Button, type ButtonProps } from '@mantine/core';
import { createContext, Fragment, type ReactNode, use, useState } from 'react';
import { problemOf } from '../api/problem.ts';
import { sentence } from './loaded.tsx';

const StartOver = createContext<(() => void) | null>(null);

/**
 * Around a form over something that others may change meanwhile: the form goes on from what it was when it was opened, so
 * that their changes are told of (412) rather than overwritten; and it can start over with what it is now.
 */
export function Editing<T>({ value, children }: { value: T; children: (opened: T) => ReactNode }) {
  const [opened, setOpened] = useState({ value, times: 0 });
  return (
    <StartOver value={() => setOpened({ value, times: opened.times + 1 })}>
      <Fragment key={opened.times}>{children(opened.value)}</Fragment>
    </StartOver>
  );
}

/** What the server said of a form that it did not take; nothing where it said nothing. */
export function FormProblem({ error }: { error: unknown }) {
  const startOver = use(StartOver);
  if (error === null || error === undefined) return null;
  const { code, message } = problemOf(error);
  const wasChanged = code === 'D4_CHANGED_MEANWHILE';
  return (
    <Alert
      color={wasChanged ? 'orange' : 'red'}
      variant="light"
      role="alert"
      p="xs"
      {...(wasChanged && { title: 'Somebody else was faster: nothing was saved' })}
    >
      {sentence(message)} <code className="dimmed nowrap">{code}</code>
      {wasChanged && startOver !== null && (
        <div style={{ marginTop: 8 }}>
          <Button size="xs" variant="default" onClick={startOver}>
            Start over with what it is now
          </Button>
        </div>
      )}
    </Alert>
  );
}

/** The end of a form: what the server said of it, and the button that sends it. @param change what sending it does */
export function FormEnd({
  change,
  children,
  ...button
}: Pick<ButtonProps, 'color' | 'fullWidth' | 'mt'> & {
  change: { readonly error: unknown; readonly isPending: boolean };
  /** What the button says. */
  children: ReactNode;
}) {
  return (
    <>
      <FormProblem error={change.error} />
      <Button type="submit" loading={change.isPending} {...button}>
        {children}
      </Button>
    </>
  );
}
