import { Paper } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { SESSION_KEY } from '../api/session-key.ts';
import { Door } from './door.tsx';
import { PasswordForm } from './password-form.tsx';
import type { SessionFacts } from './session-api.ts';

/** Before anything else: a password that nobody else has seen. */
export function ChangePasswordPage({ session }: { session: SessionFacts }) {
  const client = useQueryClient();
  return (
    <Door title="Choose a password">
      <Paper p="lg">
        <p className="dimmed" style={{ marginTop: 0, fontSize: 14 }}>
          The password of {session.mail} was set by somebody else. Choose one of your own to go on.
        </p>
        <PasswordForm
          session={session}
          submit="Set and go on"
          onDone={(next) => client.setQueryData(SESSION_KEY, next)}
        />
      </Paper>
    </Door>
  );
}
