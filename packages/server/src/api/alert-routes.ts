import Type, { type Static } from 'typebox';
import { ALERT_KINDS, type SentAlert } from '../monitor/alerts/port.ts';
import type { ApiContext } from './api-context.ts';
import { actorOf } from './authentication.ts';
import type { ApiApp } from './route-types.ts';
import { closed, count, optionalTime, time, words } from './schema-parts.ts';

const WAYS = ['webhook', 'mail'] as const;

const AlertView = closed('Alert', {
  id: Type.Integer({ minimum: 1 }),
  kind: words(ALERT_KINDS, 'Sensors are silent, or back; something is damaged; or a test'),
  at: time('Sent'),
  count: count('Sensors, or damaged files and items, it is about'),
  sensors: Type.Array(
    closed('AlertedSensor', {
      uuid: Type.String(),
      description: Type.String(),
      mail: Type.String(),
      lastSeen: optionalTime('Its last verified frame'),
      expectedIntervalSeconds: count('s'),
    }),
    { description: 'The first 20 of them' },
  ),
  summary: Type.String({ description: 'For people' }),
  deliveries: Type.Array(
    closed('AlertDelivery', {
      way: words(WAYS, 'How people were told'),
      error: Type.Union([Type.String(), Type.Null()], { description: 'Why it did not arrive; null where it did' }),
      attempts: count('How often it was sent'),
    }),
    { description: 'Empty where no way is set' },
  ),
});
type AlertView = Static<typeof AlertView>;

const AlertList = closed('AlertList', {
  items: Type.Array(AlertView, { description: 'The newest first' }),
  ways: Type.Array(words(WAYS, 'How people are told'), {
    description: 'Those that are set (alerts.webhook, alerts.smtp)',
  }),
  silent: Type.Array(Type.String(), { description: 'Watched sensors that are silent now' }),
});

const AlertQuery = Type.Object(
  {
    limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 500, description: 'At most so many; 100 if not given' })),
  },
  { additionalProperties: false },
);

/** `/api/v1/alerts`: who was told of silent sensors, and a test of that. */
export function alertRoutes(app: ApiApp, { monitor, registry }: ApiContext): void {
  const { alerts, silence } = monitor;
  const tags = ['monitoring'];

  app.get(
    '/alerts',
    {
      config: { access: 'viewer' },
      schema: {
        tags,
        operationId: 'listAlerts',
        summary: 'Alerts that were sent, and which sensors are silent now',
        querystring: AlertQuery,
        response: { 200: AlertList },
      },
    },
    ({ query }, reply) => {
      const { limit = 100 } = query;
      reply.send({ items: alerts.list(limit).map(alertView), ways: alerts.ways, silent: silence.silent() });
    },
  );

  app.post(
    '/alerts/test',
    {
      config: { access: 'user' },
      schema: {
        tags,
        operationId: 'testAlerts',
        summary: 'Sends a test on every way that is set, and says what became of it',
        response: { 200: AlertView },
      },
    },
    async (request) => {
      const sent = await alerts.test();
      const failed = sent.deliveries.filter(({ error }) => error !== undefined).map(({ way }) => way);
      const details = { ways: alerts.ways, failed };
      await registry.audit.record({ kind: 'alerts-tested', key: 'alerts', actor: actorOf(request), details });
      return alertView(sent);
    },
  );
}

function alertView({ deliveries, sensors, ...alert }: SentAlert): AlertView {
  return {
    ...alert,
    sensors: [...sensors],
    deliveries: deliveries.map(({ error, ...delivery }) => ({ ...delivery, error: error ?? null })),
  };
}
