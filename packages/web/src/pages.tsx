import { ModalsProvider } from '@mantine/modals';
import { Notifications } from '@mantine/notifications';
import { RouterProvider } from '@tanstack/react-router';
import type { ReactElement } from 'react';
import { LiveProvider } from './api/live.tsx';
import { NowProvider } from './parts/now.tsx';
import { newRouter } from './routes.tsx';

/**
 * All pages, for somebody who is signed in. Comes once the page of the address is loaded: what the router has while it is
 * shown, it draws at once and not in slices.
 */
export async function loadPages(): Promise<ReactElement> {
  const router = newRouter();
  await router.load();
  return (
    <NowProvider>
      <ModalsProvider>
        <Notifications position="bottom-right" />
        <LiveProvider>
          <RouterProvider router={router} />
        </LiveProvider>
      </ModalsProvider>
    </NowProvider>
  );
}
