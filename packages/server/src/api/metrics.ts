import { ALL_SENSORS, NO_SENSOR } from '../monitor/ledger/ledger.ts';
import type { Measure } from '../monitor/ledger/measures.ts';
import { Exposition, type Sample } from '../monitor/metrics/exposition.ts';
import type { ApiContext } from './api-context.ts';
import { statesOf } from './sensor-states.ts';

/** Counters of the ledger, by type: what they are called, and what they are. */
const LEDGER_COUNTERS: readonly (readonly [measure: Measure, name: string, help: string])[] = [
  ['frames', 'd4_frames_received_total', 'Verified frames of sensors'],
  ['bytes', 'd4_bytes_received_total', 'Payload in verified frames'],
  ['sessions', 'd4_sessions_total', 'Sessions of sensors'],
  ['records', 'd4_records_journaled_total', 'Items in the journal'],
  ['journaledBytes', 'd4_bytes_journaled_total', 'Bytes of records in the journal'],
  ['gaps', 'd4_gaps_total', 'Gaps in streams'],
  ['leftOutBytes', 'd4_left_out_bytes_total', 'Bytes that came and that their format could not keep'],
  ['missingBytes', 'd4_missing_bytes_total', 'Bytes that sensors report as never sent'],
  ['lostBytes', 'd4_lost_bytes_total', 'Bytes that were verified and never journaled'],
  [
    'duplicateBytes',
    'd4_duplicate_bytes_total',
    'Bytes that were offered again though the server had them, and recognised',
  ],
  ['archivedFiles', 'd4_archived_files_total', 'Finished files of the archive'],
  ['archivedBytes', 'd4_archived_bytes_total', 'Bytes of streams in finished files'],
  ['queued', 'd4_queued_items_total', 'Items offered to queues, once for each'],
  ['delivered', 'd4_delivered_items_total', 'Items that consumers took'],
  ['dropped', 'd4_dropped_items_total', 'Items that queues dropped'],
  ['removedRecords', 'd4_removed_records_total', 'Items that retention removed from the journal'],
  ['removedFiles', 'd4_removed_files_total', 'Files that retention removed from the archive'],
  ['damagedRecords', 'd4_damaged_records_total', 'Items that the journal lost to damage'],
];

/** Everything for Prometheus but what it says of the process. @param withSensors also a few values of each sensor */
export async function metricsOf(context: ApiContext, withSensors: boolean): Promise<string> {
  context.monitor.ledger.takeOver();
  const exposition = new Exposition();
  server(exposition, context);
  ledger(exposition, context);
  journal(exposition, context);
  queues(exposition, context);
  exporters(exposition, context);
  disks(exposition, context);
  if (withSensors) sensors(exposition, context);
  return `${await exposition.text()}\n${await context.monitor.commits.registry.metrics()}`;
}

function server(to: Exposition, context: ApiContext): void {
  const { server, registry, ingest, redis, monitor } = context;
  const states = statesOf(context).counts();
  const { paused, pauses } = ingest.backPressure();
  to.gauge('d4_build_info', 'The version, as a label', [[{ version: server.version }, 1]]);
  to.gauge('d4_start_time_seconds', 'When the server was started', [[{}, server.startedAt / 1_000]]);
  to.gauge('d4_sensors', 'Registered sensors by state', labelled('state', states));
  to.gauge('d4_silent_sensors', 'Watched sensors that are silent', [[{}, monitor.silence.silent().length]]);
  to.gauge('d4_sensor_connections', 'Connections on the port of sensors', [[{}, ingest.connections]]);
  to.gauge('d4_analyzer_connections', 'Connections on the port of analyzers', [[{}, redis.clients]]);
  to.gauge('d4_sessions', 'Live sessions of sensors', [[{}, ingest.sessions().length]]);
  to.gauge('d4_held_back_connections', 'Connections of sensors that are not read now', [[{}, paused]]);
  to.counter('d4_holds_total', 'How often a connection of a sensor was held back, since the start', [[{}, pauses]]);
  to.counter('d4_refusals_total', 'Refusals by reason', labelled('reason', registry.activity.refusalTotals()));
  to.gauge('d4_certificate_end_time_seconds', "When the server's certificate ends", [
    [{}, monitor.certificateEndsAt() / 1_000],
  ]);
}

function ledger(to: Exposition, { monitor }: ApiContext): void {
  const all = monitor.ledger.of(ALL_SENSORS).filter(({ topic }) => topic !== '');
  for (const [measure, name, help] of LEDGER_COUNTERS) {
    to.counter(
      name,
      help,
      all.map((series) => [{ type: series.topic }, series.total(measure)]),
    );
  }
}

function journal(to: Exposition, { journal, archive }: ApiContext): void {
  const stats = journal.topics().flatMap((topic) => journal.get(topic)?.stats() ?? []);
  const each = (value: (of: (typeof stats)[number]) => number): Sample[] =>
    stats.map((of) => [{ type: of.topic }, value(of)]);
  to.gauge(
    'd4_journal_bytes',
    'Bytes of the journal on disk',
    each(({ bytes }) => bytes),
  );
  to.gauge(
    'd4_journal_records',
    'Items that the journal holds',
    each(({ records }) => records),
  );
  to.gauge(
    'd4_journal_segments',
    'Segments that the journal holds',
    each(({ segments }) => segments),
  );
  to.gauge(
    'd4_journal_damaged_places',
    'Damaged places that recovery found',
    each(({ gaps }) => gaps),
  );
  const { topics, paused } = archive.status();
  to.gauge('d4_archive_paused', 'Whether no files are made', [[{}, paused ? 1 : 0]]);
  to.gauge(
    'd4_archive_lag_seconds',
    'How far the archive is behind',
    topics.map(({ topic, lag }) => [{ type: topic }, lag / 1_000]),
  );
  to.gauge(
    'd4_archive_failing',
    'Whether the archive cannot be written',
    topics.map(({ topic, error }) => [{ type: topic }, error === undefined ? 0 : 1]),
  );
}

function queues(to: Exposition, context: ApiContext): void {
  const all = context.queues.list();
  const each = (value: (of: (typeof all)[number]) => number): Sample[] =>
    all.map((of) => [{ queue: of.uuid, type: of.topic }, value(of)]);
  to.gauge(
    'd4_queue_length',
    'Items waiting',
    each(({ length }) => length),
  );
  to.counter(
    'd4_queue_taken_items_total',
    'Items taken',
    each(({ taken }) => taken),
  );
  to.counter(
    'd4_queue_dropped_items_total',
    'Items dropped',
    each(({ dropped }) => dropped),
  );
  to.counter(
    'd4_queue_flushed_items_total',
    'Items flushed',
    each(({ flushed }) => flushed),
  );
  to.gauge(
    'd4_queue_claimed_items',
    'Items that consumers have and have not acknowledged',
    each(({ claimed }) => claimed),
  );
  to.counter(
    'd4_queue_rewound_items_total',
    'Items that came again because the position was moved back',
    each(({ rewound }) => rewound),
  );
  to.counter(
    'd4_queue_replayed_items_total',
    'Items that came out of replays',
    each(({ replayed }) => replayed),
  );
}

function exporters(to: Exposition, context: ApiContext): void {
  const all = context.exporters.list();
  const each = (value: (of: (typeof all)[number]) => number): Sample[] =>
    all.map((of) => [{ exporter: of.name, type: of.topic }, value(of)]);
  to.gauge(
    'd4_exporter_lag',
    'Records that are not delivered',
    each(({ lag }) => lag),
  );
  to.gauge(
    'd4_exporter_failing',
    'Whether nothing can be delivered',
    each(({ state }) => (state === 'failing' ? 1 : 0)),
  );
  to.counter(
    'd4_exporter_delivered_records_total',
    'Records delivered',
    each(({ delivered }) => delivered),
  );
  to.counter(
    'd4_exporter_skipped_records_total',
    'Records that can never be delivered',
    each(({ skipped }) => skipped),
  );
  to.counter(
    'd4_exporter_lost_records_total',
    'Records that the journal no longer had when it was their turn',
    each(({ lost }) => lost),
  );
  to.counter(
    'd4_exporter_repeated_records_total',
    'Records sent again, since the start',
    each(({ repeated }) => repeated),
  );
  to.counter(
    'd4_exporter_errors_total',
    'Attempts that failed, since the start',
    each(({ errors }) => errors),
  );
}

function disks(to: Exposition, { retention }: ApiContext): void {
  const { disks, state } = retention.status();
  const each = (value: (of: (typeof disks)[number]) => number): Sample[] =>
    disks.map((of) => [{ path: of.path }, value(of)]);
  to.gauge(
    'd4_disk_size_bytes',
    'Size of a disk that the server writes to',
    each(({ bytes }) => bytes),
  );
  to.gauge(
    'd4_disk_free_bytes',
    'What is free on it',
    each(({ freeBytes }) => freeBytes),
  );
  to.gauge(
    'd4_disk_reserve_bytes',
    'What stays free on it',
    each(({ reserveBytes }) => reserveBytes),
  );
  to.gauge('d4_disk_full', 'Whether no sensor is read until there is space', [[{}, state === 'stopped' ? 1 : 0]]);
}

function sensors(to: Exposition, { monitor, registry }: ApiContext): void {
  const known = [...monitor.ledger.all()].filter(
    ({ sensor, topic }) => sensor !== ALL_SENSORS && sensor !== NO_SENSOR && topic !== '',
  );
  const each = (measure: Measure): Sample[] =>
    known.map((series) => [{ sensor: series.sensor, type: series.topic }, series.total(measure)]);
  to.counter('d4_sensor_frames_received_total', 'Verified frames of a sensor', each('frames'));
  to.counter('d4_sensor_bytes_received_total', 'Payload in verified frames of a sensor', each('bytes'));
  to.gauge(
    'd4_sensor_last_seen_time_seconds',
    'The last verified frame of a sensor',
    [...registry.activity.entries()]
      .filter(([uuid, { lastSeen }]) => lastSeen > 0 && registry.sensors.get(uuid) !== undefined)
      .map(([uuid, { lastSeen }]) => [{ sensor: uuid }, lastSeen / 1_000]),
  );
}

function labelled(name: string, values: Readonly<Record<string, number>>): Sample[] {
  return Object.entries(values).map(([label, value]) => [{ [name]: label }, value]);
}
