import { createRootRoute, createRoute, createRouter, lazyRouteComponent } from '@tanstack/react-router';
import { archiveSearch } from './pages/archive/search.ts';
import { auditSearch } from './pages/audit/search.ts';
import { maltrailSearch } from './pages/maltrail/search.ts';
import { sensorsSearch } from './pages/sensors/search.ts';
import { ButtonLink } from './parts/button-link.tsx';
import { ProblemAlert, SkeletonRows } from './parts/loaded.tsx';
import { Empty, Page } from './parts/page.tsx';
import { Shell } from './shell/shell.tsx';

/*
 * Every page: its address, what may stand behind the `?`, and its component, which is loaded when it is first shown. A new page is added
 * here, in shell/navigation.ts, and in a folder of its own below pages/.
 */

const root = createRootRoute({ component: Shell, notFoundComponent: NotFound, errorComponent: Failed });

const pages = [
  createRoute({
    getParentRoute: () => root,
    path: '/',
    component: lazyRouteComponent(() => import('./pages/overview/overview-page.tsx'), 'OverviewPage'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/sensors',
    validateSearch: sensorsSearch,
    component: lazyRouteComponent(() => import('./pages/sensors/sensors-page.tsx'), 'SensorsPage'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/sensors/$uuid',
    component: lazyRouteComponent(() => import('./pages/sensor/sensor-page.tsx'), 'SensorPage'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/enrolment',
    component: lazyRouteComponent(() => import('./pages/enrolment/enrolment-page.tsx'), 'EnrolmentPage'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/queues',
    component: lazyRouteComponent(() => import('./pages/queues/queues-page.tsx'), 'QueuesPage'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/queues/$uuid',
    component: lazyRouteComponent(() => import('./pages/queues/queue-page.tsx'), 'QueuePage'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/exporters',
    component: lazyRouteComponent(() => import('./pages/exporters/exporters-page.tsx'), 'ExportersPage'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/maltrail',
    validateSearch: maltrailSearch,
    component: lazyRouteComponent(() => import('./pages/maltrail/maltrail-page.tsx'), 'MaltrailPage'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/archive',
    validateSearch: archiveSearch,
    component: lazyRouteComponent(() => import('./pages/archive/archive-page.tsx'), 'ArchivePage'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/types',
    component: lazyRouteComponent(() => import('./pages/types/types-page.tsx'), 'TypesPage'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/alerts',
    component: lazyRouteComponent(() => import('./pages/alerts/alerts-page.tsx'), 'AlertsPage'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/storage',
    component: lazyRouteComponent(() => import('./pages/storage/storage-page.tsx'), 'StoragePage'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/blocks',
    component: lazyRouteComponent(() => import('./pages/blocks/blocks-page.tsx'), 'BlocksPage'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/people',
    component: lazyRouteComponent(() => import('./pages/people/people-page.tsx'), 'PeoplePage'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/audit',
    validateSearch: auditSearch,
    component: lazyRouteComponent(() => import('./pages/audit/audit-page.tsx'), 'AuditPage'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/settings',
    component: lazyRouteComponent(() => import('./pages/settings/settings-page.tsx'), 'SettingsPage'),
  }),
  createRoute({
    getParentRoute: () => root,
    path: '/account',
    component: lazyRouteComponent(() => import('./pages/account/account-page.tsx'), 'AccountPage'),
  }),
] as const;

/** The router over all pages. */
export function newRouter() {
  return createRouter({
    routeTree: root.addChildren(pages),
    defaultPreload: 'intent',
    defaultPendingComponent: SkeletonRows,
    scrollRestoration: true,
  });
}

declare module '@tanstack/react-router' {
  interface Register {
    router: ReturnType<typeof newRouter>;
  }
}

function NotFound() {
  return (
    <Page title="Not found">
      <Empty title="There is no page at this address" action={<ButtonLink to="/">To the overview</ButtonLink>} />
    </Page>
  );
}

function Failed({ error }: { error: unknown }) {
  return (
    <Page title="This page failed">
      <ProblemAlert error={error} again={() => location.reload()} />
    </Page>
  );
}
