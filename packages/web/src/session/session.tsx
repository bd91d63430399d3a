import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { createContext, type ReactNode, use, useDeferredValue } from 'react';
import { SESSION_KEY } from '../api/session-key.ts';
import { ProblemAlert } from '../parts/loaded.tsx';
import { ChangePasswordPage } from './change-password-page.tsx';
import { Door } from './door.tsx';
import { LoginPage } from './login-page.tsx';
import { fetchSession, type Role, type SessionFacts, signOut } from './session-api.ts';

const Session = createContext<SessionFacts | null>(null);

/** Lets in who is signed in; the others get the login page, or are asked for a new password first. */
export function SessionGate({ children }: { children: ReactNode }) {
  const query = useQuery({ queryKey: SESSION_KEY, queryFn: fetchSession, staleTime: 60_000, retry: false });
  // Everything behind the gate is drawn in slices, not in one task.
  const session = useDeferredValue(query.data);
  if (session === undefined) {
    if (!query.isError) return <Door busy />;
    return (
      <Door>
        <ProblemAlert error={query.error} again={() => query.refetch()} />
      </Door>
    );
  }
  if (session === null) return <LoginPage />;
  if (session.mustChangePassword) return <ChangePasswordPage session={session} />;
  return <Session value={session}>{children}</Session>;
}

/** Who is signed in. */
export function useSession(): SessionFacts {
  const session = use(Session);
  if (session === null) throw new Error('used outside of SessionGate');
  return session;
}

const POWER: Readonly<Record<Role, number>> = { sensor_register: 0, viewer: 1, user: 2, admin: 3 };

/** Whether who is signed in may do what needs a role; the server decides it again. */
export function useMay(role: 'user' | 'admin'): boolean {
  return POWER[useSession().role] >= POWER[role];
}

/** Ends the session, here or in all browsers; nothing of what was shown is kept. */
export function useSignOut() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ everywhere }: { everywhere: boolean }) => signOut(everywhere),
    onSettled: () => {
      client.setQueryData(SESSION_KEY, null);
      client.removeQueries({ predicate: ({ queryKey }) => queryKey[0] !== SESSION_KEY[0] });
    },
  });
}
