import { Alert } from '@mantine/core';
import { problemOf } from '../api/problem.ts';
import { sentence } from './loaded.tsx';

/** What the server said of a form that it did not take; nothing where it said nothing. */
export function FormProblem({ error }: { error: unknown }) {
  if (error === null || error === undefined) return null;
  const { code, message } = problemOf(error);
  return (
    <Alert color="red" variant="light" role="alert" p="xs">
      {sentence(message)} <code className="dimmed nowrap">{code}</code>
    </Alert>
  );
}
