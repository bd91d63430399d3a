import { infiniteQueryOptions, keepPreviousData, queryOptions } from '@tanstack/react-query';
import { answered, api } from './client.ts';
import type { paths } from './schema.d.ts';
import { partsOf } from './sensor-lists.ts';

/*
 * What the pages ask the server for, each with the key that it is kept under. Keys begin with what a change would make
 * out of date: `['sensors', …]`, `['queues', …]`.
 */

/** How often what is on the screen is asked for anew, ms; live events make it sooner. */
const REFRESH_MS = 10_000;

/** The same, of what somebody watches as it changes, ms. */
const WATCHED_MS = 3_000;

/** Sensors in one answer: a screen or two. */
const SENSORS_AT_ONCE = 200;

/** Sensors that are offered for what somebody types. */
const SENSORS_TO_CHOOSE = 20;

/** The server as a whole. */
export const status = queryOptions({
  queryKey: ['status'],
  queryFn: () => answered(api.GET('/api/v1/status')),
  refetchInterval: REFRESH_MS,
});

/** How many sensors wait for approval. */
export const pendingCount = queryOptions({
  queryKey: ['sensors', 'pending-count'],
  queryFn: async () => {
    const { total } = await answered(api.GET('/api/v1/sensors', { params: { query: { state: 'pending', limit: 1 } } }));
    return total;
  },
  refetchInterval: REFRESH_MS,
});

/** One sensor. */
export const sensor = (uuid: string) =>
  queryOptions({
    queryKey: ['sensors', 'one', uuid],
    queryFn: () => answered(api.GET('/api/v1/sensors/{uuid}', { params: { path: { uuid } } })),
    refetchInterval: WATCHED_MS,
  });

/** Sensors that wait for approval. */
export const pendingSensors = queryOptions({
  queryKey: ['sensors', 'pending'],
  queryFn: () => answered(api.GET('/api/v1/sensors', { params: { query: { state: 'pending', limit: 1_000 } } })),
  refetchInterval: REFRESH_MS,
});

/** All queues. */
export const queues = queryOptions({
  queryKey: ['queues', 'all'],
  queryFn: () => answered(api.GET('/api/v1/queues', { params: { query: { limit: 10_000 } } })),
  refetchInterval: REFRESH_MS,
});

/** Where records are sent on. */
export const exporters = queryOptions({
  queryKey: ['exporters'],
  queryFn: () => answered(api.GET('/api/v1/exporters', { params: { query: { limit: 10_000 } } })),
  refetchInterval: WATCHED_MS,
});

/** Who was told of silent sensors, and which are silent now. */
export const alerts = queryOptions({
  queryKey: ['alerts'],
  queryFn: () => answered(api.GET('/api/v1/alerts')),
  refetchInterval: REFRESH_MS,
});

/** So many silent sensors are shown one by one. */
export const SILENT_SHOWN = 100;

/** Those of these sensors that are there; the first `SILENT_SHOWN`. */
export const silentSensors = (uuids: readonly string[]) =>
  queryOptions({
    queryKey: ['sensors', 'silent', uuids],
    queryFn: async () => {
      const asked = uuids
        .slice(0, SILENT_SHOWN)
        .map((uuid) => answered(api.GET('/api/v1/sensors/{uuid}', { params: { path: { uuid } } })));
      const found = await Promise.allSettled(asked);
      return found.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
    },
    enabled: uuids.length > 0,
    placeholderData: keepPreviousData,
  });

/** What is kept, and how much space is left. */
export const retention = queryOptions({
  queryKey: ['retention'],
  queryFn: () => answered(api.GET('/api/v1/retention')),
  refetchInterval: REFRESH_MS,
});

/** What would be removed now. */
export const retentionPlan = queryOptions({
  queryKey: ['retention', 'plan'],
  queryFn: () => answered(api.GET('/api/v1/retention/plan')),
});

/** What the server proves itself with. */
export const certificate = queryOptions({
  queryKey: ['certificate'],
  queryFn: () => answered(api.GET('/api/v1/certificate')),
});

/** The settings that hold, and where each comes from. */
export const settings = queryOptions({
  queryKey: ['settings'],
  queryFn: () => answered(api.GET('/api/v1/settings')),
});

/** The accepted types. */
export const types = queryOptions({
  queryKey: ['types'],
  queryFn: () => answered(api.GET('/api/v1/types', { params: { query: { limit: 10_000 } } })),
  staleTime: 60_000,
});

/** All blocks. */
export const blocks = queryOptions({
  queryKey: ['blocks'],
  queryFn: () => answered(api.GET('/api/v1/blocks', { params: { query: { limit: 10_000 } } })),
  refetchInterval: REFRESH_MS,
});

/** Where one is signed in. */
export const mySessions = queryOptions({
  queryKey: ['me', 'sessions'],
  queryFn: () => answered(api.GET('/api/v1/me/sessions')),
});

/** One's own tokens. */
export const myTokens = queryOptions({
  queryKey: ['me', 'tokens'],
  queryFn: () => answered(api.GET('/api/v1/me/tokens')),
});

/** Which sensors, and in what order. */
export type SensorFilter = Omit<NonNullable<paths['/api/v1/sensors']['get']['parameters']['query']>, 'limit' | 'after'>;

/** Sensors, some hundred at a time. */
export const sensorList = (filter: SensorFilter) =>
  infiniteQueryOptions({
    queryKey: ['sensors', 'list', filter],
    queryFn: ({ pageParam }) =>
      answered(
        api.GET('/api/v1/sensors', {
          params: { query: { ...filter, limit: SENSORS_AT_ONCE, ...(pageParam !== '' && { after: pageParam }) } },
        }),
      ),
    initialPageParam: '',
    getNextPageParam: ({ next }) => next ?? undefined,
    placeholderData: keepPreviousData,
    // Each part is asked for anew: the more there are, the rarer.
    refetchInterval: ({ state }) => REFRESH_MS * Math.max(1, partsOf(state.data)),
  });

/** The first sensors by name that have this text in them; of an empty text, the first of all. */
export const sensorsLike = (text: string) =>
  queryOptions({
    queryKey: ['sensors', 'like', text],
    queryFn: () =>
      answered(
        api.GET('/api/v1/sensors', {
          params: { query: { ...(text !== '' && { text }), sort: 'name', limit: SENSORS_TO_CHOOSE } },
        }),
      ),
    placeholderData: keepPreviousData,
  });

/** How many sensors are in each state, and have each tag, type and mail address. */
export const sensorFacets = queryOptions({
  queryKey: ['sensors', 'facets'],
  queryFn: () => answered(api.GET('/api/v1/sensors/facets')),
  refetchInterval: REFRESH_MS,
});

/** Rates of everything, with the last hour of each sensor. */
export const sparklines = queryOptions({
  queryKey: ['rates', 'sparklines'],
  queryFn: () => answered(api.GET('/api/v1/rates', { params: { query: { sparklines: true } } })),
  refetchInterval: 60_000,
});

/** Rates of queues. */
export const rates = queryOptions({
  queryKey: ['rates', 'now'],
  queryFn: () => answered(api.GET('/api/v1/rates')),
  refetchInterval: REFRESH_MS,
});

/** The server at a glance. */
export const overview = queryOptions({
  queryKey: ['overview'],
  queryFn: () => answered(api.GET('/api/v1/overview')),
  refetchInterval: REFRESH_MS,
});

/** How long a series is. */
export type HistoryRange = 'hour' | 'day' | 'month';

/** What a sensor sent, by minute, hour or day. */
export const history = (uuid: string, range: HistoryRange) =>
  queryOptions({
    queryKey: ['sensors', 'history', uuid, range],
    queryFn: () =>
      answered(api.GET('/api/v1/sensors/{uuid}/history', { params: { path: { uuid }, query: { range } } })),
    placeholderData: keepPreviousData,
    refetchInterval: 60_000,
  });

/** How far back sessions are shown. */
export type SessionRange = 'day' | 'week' | 'month';

const RANGES_MS: Readonly<Record<SessionRange, number>> = {
  day: 86_400_000,
  week: 7 * 86_400_000,
  month: 30 * 86_400_000,
};

/** Who was connected as a sensor, and from where. */
export const pastSessions = (uuid: string, range: SessionRange) =>
  queryOptions({
    queryKey: ['sensors', 'sessions', uuid, range],
    queryFn: () => {
      const query = { from: Date.now() - RANGES_MS[range] };
      return answered(api.GET('/api/v1/sensors/{uuid}/sessions', { params: { path: { uuid }, query } }));
    },
    placeholderData: keepPreviousData,
    refetchInterval: REFRESH_MS,
  });

/** Whether what a sensor sent is what is kept, and what is missing. */
export const ledger = (uuid: string) =>
  queryOptions({
    queryKey: ['sensors', 'ledger', uuid],
    queryFn: () => answered(api.GET('/api/v1/sensors/{uuid}/ledger', { params: { path: { uuid } } })),
    refetchInterval: 60_000,
  });

/** The finished files of a sensor, a type, or all; the newest first. */
export const archivedFiles = (filter: { sensor?: string; type?: string }) =>
  infiniteQueryOptions({
    queryKey: ['archive', filter],
    queryFn: ({ pageParam }) =>
      answered(
        api.GET('/api/v1/archive/files', {
          params: { query: { ...filter, limit: 100, ...(pageParam !== '' && { after: pageParam }) } },
        }),
      ),
    initialPageParam: '',
    getNextPageParam: ({ next }) => next ?? undefined,
  });

/** Which threats, and in what order. */
type ThreatFilter = Omit<
  NonNullable<paths['/api/v1/maltrail/threats']['get']['parameters']['query']>,
  'limit' | 'after'
>;

/** What Maltrail sensors have found. */
export const threats = (filter: ThreatFilter) =>
  infiniteQueryOptions({
    queryKey: ['maltrail', 'threats', filter],
    queryFn: ({ pageParam }) =>
      answered(
        api.GET('/api/v1/maltrail/threats', {
          params: { query: { ...filter, limit: 100, ...(pageParam !== '' && { after: pageParam }) } },
        }),
      ),
    initialPageParam: '',
    getNextPageParam: ({ next }) => next ?? undefined,
    placeholderData: keepPreviousData,
    refetchInterval: REFRESH_MS,
  });

/** The events of 30 days in numbers. */
export const maltrailSummary = queryOptions({
  queryKey: ['maltrail', 'summary'],
  queryFn: () => answered(api.GET('/api/v1/maltrail/summary')),
  refetchInterval: REFRESH_MS,
});

/** One queue. */
export const queue = (uuid: string) =>
  queryOptions({
    queryKey: ['queues', 'one', uuid],
    queryFn: () => answered(api.GET('/api/v1/queues/{uuid}', { params: { path: { uuid } } })),
    refetchInterval: REFRESH_MS,
  });

/** The oldest items of a queue. */
export const peek = (uuid: string, count: number) =>
  queryOptions({
    queryKey: ['queues', 'items', uuid, count],
    queryFn: () => answered(api.GET('/api/v1/queues/{uuid}/items', { params: { path: { uuid }, query: { count } } })),
  });

/** Who may sign in. */
export const users = queryOptions({
  queryKey: ['users', 'all'],
  queryFn: () => answered(api.GET('/api/v1/users')),
});

/** Everybody's tokens. */
export const allTokens = queryOptions({
  queryKey: ['users', 'tokens'],
  queryFn: () => answered(api.GET('/api/v1/tokens')),
});

/** Who has to wait after failures to sign in. */
export const lockouts = queryOptions({
  queryKey: ['users', 'lockouts'],
  queryFn: () => answered(api.GET('/api/v1/lockouts')),
  refetchInterval: REFRESH_MS,
});

/** What was done, the latest first. */
export const auditRecords = (filter: { text?: string; who?: string; kind?: string }) =>
  infiniteQueryOptions({
    queryKey: ['audit', filter],
    queryFn: ({ pageParam }) =>
      answered(
        api.GET('/api/v1/audit', {
          params: { query: { ...filter, limit: 100, ...(pageParam !== '' && { after: pageParam }) } },
        }),
      ),
    initialPageParam: '',
    getNextPageParam: ({ next }) => (next === null ? undefined : String(next)),
  });

/** Tokens with which sensors register themselves. What is made stale with the sensors: one that enrols has used one. */
export const enrolments = queryOptions({
  queryKey: ['sensors', 'enrolments'],
  queryFn: () => answered(api.GET('/api/v1/enrolments')),
  refetchInterval: REFRESH_MS,
});
