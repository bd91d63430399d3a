import createClient from 'openapi-fetch';
import { Problem } from './problem.ts';
import type { components, paths } from './schema.d.ts';

/** The documents of the interface by name, e.g. `Schemas['Sensor']`. */
export type Schemas = components['schemas'];

/** The HTTP interface, typed after the server's own description of it; app.tsx adds the session's token to what changes something. */
export const api = createClient<paths>({ baseUrl: '/', credentials: 'same-origin' });

/** For a change that is to be made only if what it changes still has this revision. */
export function ifMatch(revision: number): { 'if-match': string } {
  return { 'if-match': `"${revision}"` };
}

/** What openapi-fetch resolves with. */
interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** The answer's document. @throws {Problem} where the request failed */
export async function answered<T>(request: Promise<Answer<T>>): Promise<T> {
  const { data, error, response } = await request;
  if (!response.ok) throw problemIn(error, response.status);
  return data as T;
}

function problemIn(body: unknown, status: number): Problem {
  if (typeof body === 'object' && body !== null && 'error' in body) {
    const { code, message } = Object(body.error);
    if (typeof code === 'string' && typeof message === 'string') return new Problem(code, message, status);
  }
  return new Problem(`HTTP_${status}`, `the server answered with status ${status}`, status);
}
