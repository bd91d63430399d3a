import { notifications } from '@mantine/notifications';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { problemOf } from './problem.ts';

/**
 * Something that changes the server: says what came of it, and makes what is shown fresh.
 * @param change what is done; its result goes to `done`
 * @param done what to say, or undefined to say nothing
 * @param stale first words of the query keys that it makes out of date
 */
export function useAction<I, R>(
  change: (input: I) => Promise<R>,
  { done, stale }: { done?: (result: R, input: I) => string | undefined; stale: readonly string[] },
) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: change,
    onSuccess: (result, input) => {
      const message = done?.(result, input);
      if (message !== undefined) notifications.show({ message, color: 'teal', autoClose: 4_000 });
    },
    onError: (error) => {
      const { code, message } = problemOf(error);
      notifications.show({
        title: 'That did not work',
        message: `${message} (${code})`,
        color: 'red',
        autoClose: 12_000,
      });
    },
    onSettled: () => Promise.all(stale.map((key) => client.invalidateQueries({ queryKey: [key] }))),
  });
}
