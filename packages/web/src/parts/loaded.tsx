import { Alert, Button, Skeleton } from '@mantine/core';
import { IconAlertTriangle } from '@tabler/icons-react';
import type { UseQueryResult } from '@tanstack/react-query';
import { type ReactNode, useDeferredValue } from 'react';
import { problemOf } from '../api/problem.ts';

/** Shows what a query brings: a skeleton until then, what went wrong if it fails, and old data rather than none. */
export function Loaded<T>({
  query,
  rows = 4,
  children,
}: {
  query: UseQueryResult<T>;
  /** How many lines the skeleton has. */
  rows?: number;
  children: (data: T) => ReactNode;
}) {
  // Drawn in slices: nobody waits for what comes, but for what they type and scroll.
  const data = useDeferredValue(query.data);
  if (data !== undefined) {
    return (
      <>
        {query.isError && <ProblemAlert error={query.error} again={() => query.refetch()} stale />}
        {children(data)}
      </>
    );
  }
  if (query.isError) return <ProblemAlert error={query.error} again={() => query.refetch()} />;
  return <SkeletonRows rows={rows} />;
}

/** Where lines of text will be. */
export function SkeletonRows({ rows = 4 }: { rows?: number }) {
  return (
    <div role="status" aria-label="Loading" style={{ display: 'grid', gap: 12, padding: '14px 16px' }}>
      {Array.from({ length: rows }, (_, row) => `row-${row}`).map((key, row) => (
        <Skeleton key={key} height={14} width={`${88 - ((row * 17) % 40)}%`} />
      ))}
    </div>
  );
}

/** What went wrong, with the code that the documentation knows it by. */
export function ProblemAlert({ error, again, stale = false }: { error: unknown; again?: () => void; stale?: boolean }) {
  const { code, message } = problemOf(error);
  return (
    <Alert
      color="red"
      variant="light"
      icon={<IconAlertTriangle />}
      title={stale ? 'What follows may be out of date' : 'This cannot be shown'}
      mb="md"
      role="alert"
    >
      {sentence(message)} <code className="nowrap dimmed">{code}</code>
      {again !== undefined && (
        <div style={{ marginTop: 8 }}>
          <Button size="xs" variant="default" onClick={() => again()}>
            Try again
          </Button>
        </div>
      )}
    </Alert>
  );
}

/** A message as a sentence. */
export function sentence(text: string): string {
  const first = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(first) ? first : `${first}.`;
}
