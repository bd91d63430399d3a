import { answered, api, type Schemas } from '../api/client.ts';
import { Problem } from '../api/problem.ts';

/** Who is signed in. */
export type SessionFacts = Schemas['SignedIn'];
export type Role = SessionFacts['role'];

/** Who is signed in; null where nobody is. */
export async function fetchSession(): Promise<SessionFacts | null> {
  try {
    return (await answered(api.GET('/api/v1/session'))) ?? null;
  } catch (error) {
    if (error instanceof Problem && error.status === 401) return null;
    throw error;
  }
}

/** Starts a session. */
export function signIn(mail: string, password: string): Promise<SessionFacts> {
  return answered(api.POST('/api/v1/session', { body: { mail, password } }));
}

/** Ends the session, or all of one's own. */
export async function signOut(everywhere: boolean): Promise<void> {
  if (everywhere) await answered(api.DELETE('/api/v1/me/sessions'));
  else await answered(api.DELETE('/api/v1/session'));
}

/** Replaces one's own password; all sessions end but the one that is answered. */
export function changePassword(current: string, password: string): Promise<SessionFacts> {
  return answered(api.POST('/api/v1/me/password', { body: { current, password } }));
}
