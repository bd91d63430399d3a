import { MantineProvider } from '@mantine/core';
import { QueryCache, QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { type ReactNode, StrictMode, Suspense, useState } from 'react';
import { api } from './api/client.ts';
import { problemOf } from './api/problem.ts';
import { SESSION_KEY } from './api/session-key.ts';
import { Door } from './session/door.tsx';
import { SessionGate } from './session/session.tsx';
import type { SessionFacts } from './session/session-api.ts';
import { styleNonce } from './style-nonce.ts';
import { theme } from './theme.ts';

/** Everything, from the outside in: look, data, who it is, pages. @param pages what is behind the gate, once it is loaded */
export function App({ pages }: { pages: ReactNode }) {
  const [queryClient] = useState(newQueryClient);
  return (
    <StrictMode>
      <MantineProvider theme={theme} defaultColorScheme="auto" getStyleNonce={styleNonce}>
        <QueryClientProvider client={queryClient}>
          <Suspense fallback={<Door busy />}>
            <SessionGate>{pages}</SessionGate>
          </Suspense>
        </QueryClientProvider>
      </MantineProvider>
    </StrictMode>
  );
}

function newQueryClient(): QueryClient {
  const client: QueryClient = new QueryClient({
    queryCache: new QueryCache({
      // Whose session has ended is asked to sign in, whatever the page was asking for.
      onError: (error, query) => {
        if (problemOf(error).status === 401 && query.queryKey[0] !== SESSION_KEY[0])
          client.setQueryData(SESSION_KEY, null);
      },
    }),
    defaultOptions: {
      queries: {
        retry: (failures, error) => failures < 2 && [0, 502, 503, 504].includes(problemOf(error).status),
        staleTime: 2_000,
      },
      // What changes something is not done twice, and fails at once without a network.
      mutations: { retry: false, networkMode: 'always' },
    },
  });
  api.use({
    onRequest({ request }) {
      const session = client.getQueryData<SessionFacts | null>(SESSION_KEY);
      if (session && request.method !== 'GET') request.headers.set('x-csrf-token', session.csrfToken);
    },
  });
  return client;
}
