import { PasswordInput, Stack } from '@mantine/core';
import { useForm } from '@mantine/form';
import { useMutation } from '@tanstack/react-query';
import { FormEnd } from '../parts/form-problem.tsx';
import { changePassword, type SessionFacts } from './session-api.ts';

/** The server asks for as many; said here before it has to. */
const MIN_LENGTH = 12;

/** Replaces one's own password. */
export function PasswordForm({
  session,
  submit,
  onDone,
}: {
  session: SessionFacts;
  submit: string;
  onDone: (session: SessionFacts) => void;
}) {
  const form = useForm({
    mode: 'uncontrolled',
    initialValues: { current: '', next: '', again: '' },
    validate: {
      current: (value) => (value === '' ? 'Enter the password that you have now' : null),
      next: (value) =>
        [...value].length < MIN_LENGTH ? `At least ${MIN_LENGTH} characters: a few words are good` : null,
      again: (value, { next }) => (value === next ? null : 'This is not what you entered above'),
    },
  });
  const change = useMutation({
    mutationFn: ({ current, next }: typeof form.values) => changePassword(current, next),
    onSuccess: (changed) => {
      form.reset();
      onDone(changed);
    },
  });
  const toggle = { 'aria-label': 'Show the password' };
  return (
    <form onSubmit={form.onSubmit((values) => change.mutate(values))} noValidate>
      <input type="text" name="username" autoComplete="username" defaultValue={session.mail} hidden />
      <Stack gap="sm">
        <PasswordInput
          label="Current password"
          autoComplete="current-password"
          visibilityToggleButtonProps={toggle}
          key={form.key('current')}
          {...form.getInputProps('current')}
        />
        <PasswordInput
          label="New password"
          description={`At least ${MIN_LENGTH} characters; length matters, composition does not`}
          autoComplete="new-password"
          visibilityToggleButtonProps={toggle}
          key={form.key('next')}
          {...form.getInputProps('next')}
        />
        <PasswordInput
          label="New password again"
          autoComplete="new-password"
          visibilityToggleButtonProps={toggle}
          key={form.key('again')}
          {...form.getInputProps('again')}
        />
        <FormEnd change={change} mt={4}>
          {submit}
        </FormEnd>
      </Stack>
    </form>
  );
}
