import { Paper, PasswordInput, Stack, TextInput } from '@mantine/core';
import { useForm } from '@mantine/form';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { SESSION_KEY } from '../api/session-key.ts';
import { FormEnd } from '../parts/form-problem.tsx';
import { Door } from './door.tsx';
import { signIn } from './session-api.ts';

/** Asks who it is. The page behind it stays the one in the address. */
export function LoginPage() {
  const client = useQueryClient();
  const form = useForm({
    mode: 'uncontrolled',
    initialValues: { mail: '', password: '' },
    validate: {
      mail: (value) => (value.trim() === '' ? 'Enter your mail address' : null),
      password: (value) => (value === '' ? 'Enter your password' : null),
    },
  });
  const login = useMutation({
    mutationFn: ({ mail, password }: typeof form.values) => signIn(mail.trim(), password),
    onSuccess: (session) => client.setQueryData(SESSION_KEY, session),
  });
  return (
    <Door title="Sign in to D4">
      <Paper p="lg">
        <form onSubmit={form.onSubmit((values) => login.mutate(values))} noValidate>
          <Stack gap="sm">
            <TextInput
              label="Mail address"
              type="email"
              autoComplete="username"
              autoFocus
              key={form.key('mail')}
              {...form.getInputProps('mail')}
            />
            <PasswordInput
              label="Password"
              autoComplete="current-password"
              key={form.key('password')}
              visibilityToggleButtonProps={{ 'aria-label': 'Show the password' }}
              {...form.getInputProps('password')}
            />
            <FormEnd change={login} fullWidth mt={4}>
              Sign in
            </FormEnd>
          </Stack>
        </form>
      </Paper>
      <p className="dimmed" style={{ fontSize: 13 }}>
        Before the first login, the server has written a password to <code>DEFAULT_PASSWORD</code> in its home.
        Forgotten? An administrator can set a new one under People, or on the server's machine with <code>d4 user</code>
        .
      </p>
    </Door>
  );
}
