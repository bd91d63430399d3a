import { uptime } from 'node:os';
import { D4Error, type SensorId } from '@d4ts/protocol';
import type { Logger } from 'pino';
import type { Archive } from '../archive/archive.ts';
import type { Journal } from '../journal/port.ts';
import type { QueuePlace, Queues } from '../queues/port.ts';
import type { Actor, Registry } from '../registry/port.ts';
import { countAnnounced } from './archive-count.ts';
import { type Amount, planAges, planRoom } from './archive-plan.ts';
import { ArchiveRemover } from './archive-removal.ts';
import { type ClockPause, ClockWatch } from './clock-watch.ts';
import type { DiskWatch } from './disk-watch.ts';
import { Erasures } from './erasures.ts';
import { pairFacts, topicFacts } from './facts.ts';
import { forecastOf, type Growth, GrowthMeter } from './forecast.ts';
import { type JournalFacts, type JournalStep, planJournal, waitsFor } from './journal-plan.ts';
import { carryOut } from './journal-release.ts';
import { describePlan } from './plan-text.ts';
import { policyOf, type RetentionSettings } from './policy.ts';
import type {
  Erasure,
  Forecast,
  HeldFiles,
  HeldTopic,
  Holdable,
  LastRemoval,
  Losses,
  PlannedRemoval,
  Retention,
  RetentionPolicy,
  RetentionStatus,
  SpaceState,
} from './port.ts';

/** How often the disks are looked at, and how often all is looked through. */
const LOOK_MS = 250;
/** After trouble all is looked through again so soon. */
const RUN_AGAIN_MS = 1_000;
const RUN_MS = 30_000;
/** Sensors are not read, and pressure is not over, before there was enough space for so long. */
const STOPPED_MS = 1_000;
const PRESSURE_MS = 5_000;
/**
 * The archive is asked to finish its files so often at the most, when the journal waits for it; when nothing comes any
 * more, that makes no small files.
 */
const FINISH_MS = 60_000;
const FINISH_STOPPED_MS = 3_000;
const CLOCK_ROLE = 'retention clock';

/** What retention works on. */
export interface RetentionOptions {
  readonly settings: RetentionSettings;
  readonly registry: Registry;
  readonly journal: Journal;
  readonly queues: Pick<Queues, 'places' | 'giveUpBefore' | 'forgetBlocks'>;
  readonly archive: Pick<
    Archive,
    'root' | 'recordGate' | 'hold' | 'finishFiles' | 'boundUnfinished' | 'status' | 'waitingBytes'
  >;
  /** The sensors' connections. */
  readonly sensors: Holdable & { expel(sensor: SensorId): Promise<void> };
  readonly disks: readonly DiskWatch[];
  /** Takes out what else is made of a sensor's records, when they are erased. */
  readonly forget: (sensor: SensorId) => Promise<void>;
  /** The ledger. */
  readonly losses: Losses;
  readonly log: Logger;
  /** Wall clock, ms since 1970; the system's if not given. */
  readonly now?: () => number;
}

/** Starts the role that keeps the disks from filling up (docs/retention.md). */
export async function startRetention(options: RetentionOptions): Promise<Retention> {
  const retention = new PeriodicRetention(options);
  await retention.start();
  return retention;
}

class PeriodicRetention implements Retention {
  readonly #options: RetentionOptions;
  readonly #now: () => number;
  readonly #clock: ClockWatch;
  readonly #remover: ArchiveRemover;
  readonly #erasures: Erasures;
  readonly #growth = { journal: new GrowthMeter(), archive: new GrowthMeter() };
  readonly #stopListening = new Map<string, () => void>();
  #state: { readonly state: SpaceState; readonly reason: string | undefined; readonly since: number };
  #places: readonly QueuePlace[] = [];
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;
  #running: Promise<void> | undefined;
  #lookedAt = 0;
  /** When there was last too little space, and last not enough of it, on the monotonic clock. */
  #stoppedAt = Number.NEGATIVE_INFINITY;
  #pressedAt = Number.NEGATIVE_INFINITY;
  #ranAt = Number.NEGATIVE_INFINITY;
  #finishedAt = Number.NEGATIVE_INFINITY;
  #lastRunAt: number | undefined;
  #lastRemoval: LastRemoval | undefined;
  #error: string | undefined;
  /** Bytes that were committed since the disks were looked at, and how many may be. */
  #committed = 0;
  #allowance = 0;
  #stopping = false;

  constructor(options: RetentionOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#state = { state: 'ok', reason: undefined, since: this.#now() };
    const { registry, journal, queues, archive, sensors, forget, log } = options;
    this.#clock = new ClockWatch(pauseFrom(registry.loadProgress(CLOCK_ROLE)));
    const losses: Losses = { onRemoved: (event) => this.#removed(event) };
    const now = this.#now;
    this.#remover = new ArchiveRemover({
      root: archive.root,
      journal,
      books: registry.archive,
      gate: archive.recordGate,
      losses,
      onCounted: (topic, { bytes }) => this.#growth.archive.add(topic, bytes),
      log,
      isStopping: () => this.#stopping,
      now,
    });
    const isArchivePaused = archive.status().paused;
    const remover = this.#remover;
    const parts = { registry, journal, queues, sensors, remover, forget, losses, log, isArchivePaused, now };
    this.#erasures = new Erasures(parts);
  }

  async start(): Promise<void> {
    const { journal, registry } = this.#options;
    // What was there before tells nothing of how fast it grows.
    await countAnnounced(
      journal,
      registry.archive,
      () => this.#stopping,
      () => {},
    );
    await this.#look();
    this.#next();
  }

  status(): RetentionStatus {
    const { disks } = this.#options;
    const { state, reason, since } = this.#state;
    const policy = this.#policy();
    return {
      state,
      reason,
      since,
      disks: disks.map((disk) => disk.status()),
      ageRulesPaused: this.#ageRulesPaused(),
      policy,
      journal: this.#heldTopics(),
      archive: this.#heldFiles(),
      lastRemoval: this.#lastRemoval,
      lastRunAt: this.#lastRunAt,
      error: this.#error,
      forecast: this.#forecast(policy),
      erasures: this.#erasures.list(),
    };
  }

  async run(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
    this.#soon();
    await this.#looking;
    await this.#running;
  }

  async plan(): Promise<readonly PlannedRemoval[]> {
    const { registry } = this.#options;
    const wanted = this.#wantedOf('archive');
    const steps = await this.#planJournal();
    const released = steps.reduce((sum, step) => sum + (step.kind === 'release' ? step.bytes : 0), 0);
    const rest = { ...wanted, bytes: wanted.bytes - (this.#isOneDisk() ? released : 0) };
    const facts = this.#archiveFacts(rest);
    return describePlan({
      journal: steps,
      ages: planAges(facts),
      room: planRoom(facts),
      holdings: (pair) => registry.archive.holding(pair.topic, pair.sensor),
    });
  }

  async erase(sensor: SensorId, actor: Actor): Promise<Erasure> {
    if (this.#options.registry.sensors.get(sensor)?.value.hold === true) {
      throw new D4Error('D4_CONFLICT', `sensor ${sensor} is on hold: release it first`);
    }
    const erasure = await this.#erasures.add(sensor, actor);
    this.#soon();
    return erasure;
  }

  async acceptClock(actor: Actor): Promise<boolean> {
    if (!this.#clock.accept()) return false;
    const { registry, log } = this.#options;
    await registry.audit.record({ kind: 'clock-accepted', key: 'retention', actor });
    await registry.saveProgress(CLOCK_ROLE, '');
    log.info({ by: actor.name }, 'the clock is said to be right: age rules work again');
    this.#soon();
    return true;
  }

  async close(): Promise<void> {
    this.#stopping = true;
    clearTimeout(this.#timer);
    for (const stop of this.#stopListening.values()) stop();
    await this.#looking;
    await this.#running;
  }

  // When it runs.

  #next(): void {
    if (this.#stopping) return;
    this.#timer = setTimeout(() => this.#tick(), LOOK_MS).unref();
  }

  /** As soon as what is under way is done. */
  #soon(): void {
    this.#ranAt = Number.NEGATIVE_INFINITY;
    this.#tick();
  }

  /** A run may take long while the disk goes on filling up, so looking at it does not wait for one. */
  #tick(): void {
    clearTimeout(this.#timer);
    this.#looking ??= this.#try(() => this.#look()).then(() => {
      this.#looking = undefined;
      this.#runIfDue();
      this.#next();
    });
  }

  #runIfDue(): void {
    const isUrgent = this.#erasures.pending || this.#state.state !== 'ok' || this.#error !== undefined;
    const isDue = performance.now() - this.#ranAt >= (isUrgent ? RUN_AGAIN_MS : RUN_MS);
    if (!isDue || this.#running !== undefined || this.#stopping) return;
    this.#running = this.#try(() => this.#run()).then(() => {
      this.#running = undefined;
      this.#ranAt = performance.now();
    });
  }

  async #try(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      if (message !== this.#error)
        this.#options.log.error({ err: error }, 'retention cannot do what it has to: trying again');
      this.#error = message;
    }
  }

  /** Finds out how much space is left, and stops or lets go on whoever writes. */
  async #look(): Promise<void> {
    const { disks } = this.#options;
    await this.#lookAtDisks();
    this.#lookedAt = performance.now();
    this.#committed = 0;
    this.#allowance = Math.min(
      ...disks.filter(({ holds }) => holds.includes('journal')).map((disk) => disk.allowance()),
    );
    this.#holdWriters();
    this.#followTopics();
    this.#growth.journal.sample(this.#lookedAt);
    this.#growth.archive.sample(this.#lookedAt);
    await this.#lookAtClock();
  }

  async #lookAtDisks(): Promise<void> {
    const { disks, archive, log } = this.#options;
    const promised = archive.waitingBytes();
    for (const disk of disks) await disk.look(log, disk.holds.includes('archive') ? promised : 0);
  }

  #holdWriters(): void {
    const { disks, sensors, archive, log } = this.#options;
    const journal = disks.find(({ holds }) => holds.includes('journal'));
    const files = disks.find(({ holds }) => holds.includes('archive'));
    // Not at once: the archive may have caught up for a moment only.
    const now = performance.now();
    if (journal?.verdict.state === 'stopped') this.#stoppedAt = now;
    if (disks.some(({ verdict }) => verdict.state !== 'ok')) this.#pressedAt = now;
    const isStopped = journal !== undefined && now - this.#stoppedAt < STOPPED_MS;
    const archiveReason =
      files?.verdict.full === true ? `the disk of ${files.path} is full but for its reserve` : undefined;
    sensors.hold(isStopped ? `the disk of ${journal.path} is full but for its reserve` : undefined);
    archive.hold(archiveReason);
    archive.boundUnfinished(files === undefined || files.verdict.state === 'ok' ? undefined : files.step / 2);
    const reason = isStopped
      ? `the disk of ${journal.path} is full but for its reserve: no sensor is read until there is space`
      : (archiveReason ?? (now - this.#pressedAt < PRESSURE_MS ? pressureIn(disks) : undefined));
    const state: SpaceState = isStopped ? 'stopped' : reason === undefined ? 'ok' : 'pressure';
    if (state === this.#state.state) {
      this.#state = { ...this.#state, reason };
      return;
    }
    const facts = { from: this.#state.state, to: state, disks: disks.map((disk) => disk.status()) };
    this.#state = { state, reason, since: this.#now() };
    if (state === 'stopped')
      log.error(facts, 'the disk is full but for its reserve: no sensor is read until there is space');
    else if (state === 'pressure')
      log.warn(
        facts,
        facts.from === 'stopped'
          ? 'there is space again: sensors are read'
          : 'the disk is nearly full: retention removes what it may',
      );
    else
      log.info(
        facts,
        facts.from === 'stopped' ? 'there is space again: sensors are read' : 'there is enough space again',
      );
  }

  /** Counts what is committed, so that a disk which fills up quickly is looked at in time. */
  #followTopics(): void {
    const { journal } = this.#options;
    for (const topic of journal.topics()) {
      if (this.#stopListening.has(topic)) continue;
      const stop = journal.get(topic)?.onCommit(({ bytes }) => {
        if (!topic.startsWith('files/')) this.#growth.journal.add(topic, bytes);
        this.#committed += bytes;
        if (this.#committed > this.#allowance && this.#looking === undefined && !this.#stopping) this.#tick();
      });
      if (stop !== undefined) this.#stopListening.set(topic, stop);
    }
  }

  async #lookAtClock(): Promise<void> {
    if (!this.#clock.look(this.#now(), uptime() * 1_000)) return;
    const { registry, log } = this.#options;
    const { pause } = this.#clock;
    if (pause === undefined) log.info('the clock is back where it was: age rules work again');
    else log.error(pause, `the clock has jumped by more than an hour: ${AGE_RULES_PAUSED}`);
    await registry.saveProgress(CLOCK_ROLE, pause === undefined ? '' : JSON.stringify(pause));
  }

  #ageRulesPaused(): string | undefined {
    const { pause } = this.#clock;
    if (pause === undefined) return undefined;
    const minutes = Math.round(Math.abs(pause.jumpMs) / 60_000);
    return `the clock has jumped ${pause.jumpMs < 0 ? 'back' : 'ahead'} by ${minutes} minutes: ${AGE_RULES_PAUSED}`;
  }

  // What it does.

  async #run(): Promise<void> {
    const { journal, registry, queues, log } = this.#options;
    const onCounted = (topic: string, file: { readonly bytes: number }) => this.#growth.archive.add(topic, file.bytes);
    await countAnnounced(journal, registry.archive, () => this.#stopping, onCounted);
    const losses: Losses = { onRemoved: (event) => this.#removed(event) };
    const steps = await this.#planJournal();
    await carryOut(steps, { journal, registry, queues, losses, log, now: this.#now });
    await this.#lookAtDisks();
    this.#askArchiveToFinish();
    await this.#remover.removeOld(planAges(this.#archiveFacts(NOTHING)));
    await this.#lookAtDisks();
    for (const step of planRoom(this.#archiveFacts(this.#wantedOf('archive')))) {
      if (!this.#stopping) await this.#remover.makeRoom(step);
    }
    await this.#erasures.advance();
    this.#lastRunAt = this.#now();
    this.#error = undefined;
    await this.#lookAtDisks();
    this.#holdWriters();
  }

  /** The journal can only let go of what is in finished files. */
  #askArchiveToFinish(): void {
    const wanted = this.#wantedOf('journal');
    const every = this.#state.state === 'stopped' ? FINISH_STOPPED_MS : FINISH_MS;
    if (wanted.bytes === 0 || performance.now() - this.#finishedAt < every) return;
    this.#finishedAt = performance.now();
    this.#options.archive.finishFiles();
  }

  async #planJournal(): Promise<JournalStep[]> {
    const { journal, registry, queues } = this.#options;
    this.#places = await queues.places();
    const facts: JournalFacts = {
      now: this.#now(),
      ageRules: this.#clock.pause === undefined,
      topics: topicFacts(journal, registry, this.#places),
      policy: this.#policy(),
      wantedBytes: this.#wantedOf('journal').bytes,
    };
    return planJournal(facts);
  }

  #archiveFacts(wanted: Amount) {
    const policy = this.#policy();
    const { registry } = this.#options;
    return {
      now: this.#now(),
      ageRules: this.#clock.pause === undefined,
      pairs: pairFacts(registry, policy),
      policy,
      wanted,
    };
  }

  #policy(): RetentionPolicy {
    const { disks, settings } = this.#options;
    const size = (store: 'journal' | 'archive') => disks.find(({ holds }) => holds.includes(store))?.facts.bytes ?? 0;
    return policyOf(settings, { journal: size('journal'), archive: size('archive') });
  }

  #wantedOf(store: 'journal' | 'archive'): Amount {
    return this.#options.disks.find(({ holds }) => holds.includes(store))?.verdict.wanted ?? NOTHING;
  }

  #isOneDisk(): boolean {
    return this.#options.disks.length === 1;
  }

  #removed(event: Parameters<Losses['onRemoved']>[0]): void {
    const { at, store, why, topic, bytes } = event;
    const isSame =
      this.#lastRemoval?.at === at && this.#lastRemoval.topic === topic && this.#lastRemoval.store === store;
    this.#lastRemoval = { at, store, why, topic, bytes: bytes + (isSame ? (this.#lastRemoval?.bytes ?? 0) : 0) };
    try {
      this.#options.losses.onRemoved(event);
    } catch (error) {
      this.#options.log.error({ err: error, event }, 'what was removed could not be counted');
    }
  }

  // What it says.

  #heldTopics(): HeldTopic[] {
    const { journal, registry } = this.#options;
    return topicFacts(journal, registry, this.#places).map((facts) => {
      const { topic, segments } = facts;
      return {
        topic,
        segments: segments.length,
        bytes: segments.reduce((sum, { bytes }) => sum + bytes, 0),
        records: segments.reduce((sum, { records }) => sum + records, 0),
        oldest: segments[0]?.lastTime,
        waitsFor: waitsFor(facts),
      };
    });
  }

  #heldFiles(): HeldFiles[] {
    const { registry } = this.#options;
    const now = performance.now();
    return [...Map.groupBy(registry.archive.holdings(), ({ topic }) => topic)].map(([topic, holdings]) => {
      const sum = (of: (holding: (typeof holdings)[number]) => number) =>
        holdings.reduce((all, each) => all + of(each), 0);
      const oldest = Math.min(...holdings.filter(({ files }) => files > 0).map((holding) => holding.oldest));
      return {
        topic,
        files: sum(({ files }) => files),
        bytes: sum(({ bytes }) => bytes),
        heldBytes: sum(({ sensor, bytes }) => (registry.sensors.get(sensor)?.value.hold === true ? bytes : 0)),
        oldest: Number.isFinite(oldest) ? oldest : undefined,
        priority: registry.types.get(topic)?.value.archive?.priority ?? 0,
        removedFiles: sum(({ removedFiles }) => removedFiles),
        removedBytes: sum(({ removedBytes }) => removedBytes),
        bytesPerDay: this.#growth.archive.perDay(now, topic),
      };
    });
  }

  #forecast(policy: RetentionPolicy): Forecast {
    const { disks, registry } = this.#options;
    const now = performance.now();
    const journalPerDay = this.#growth.journal.perDay(now);
    if (journalPerDay === undefined) return { outcome: 'unknown' };
    const held = this.#heldTopics().reduce((sum, { bytes }) => sum + bytes, 0);
    const window = Math.min(policy.rewindBytes, (journalPerDay * policy.rewindAgeMs) / DAY_MS);
    const journal: Growth = { perDay: journalPerDay, room: window - held };
    const archive = this.#heldFiles().map(({ topic, bytes, bytesPerDay: perDay = 0 }): Growth => {
      const rules = registry.types.get(topic)?.value.archive ?? {};
      const ageMs = rules.maxAgeMs ?? policy.archiveAgeMs ?? Number.POSITIVE_INFINITY;
      const most = Math.min(rules.maxBytes ?? policy.archiveTypeBytes ?? Infinity, (perDay * ageMs) / DAY_MS);
      return { perDay, room: most - bytes };
    });
    const total = archive.reduce((sum, { perDay }) => sum + perDay, 0);
    const used = this.#heldFiles().reduce((sum, { bytes }) => sum + bytes, 0);
    const files = policy.archiveBytes === undefined ? archive : [{ perDay: total, room: policy.archiveBytes - used }];
    const forecasts = disks.map((disk) => {
      const spare = disk.facts.freeBytes - disk.verdict.marks.bytes.pressure;
      const growths = disk.holds.flatMap((store) => (store === 'journal' ? [journal] : files));
      return forecastOf(disk.path, spare, growths);
    });
    return forecasts.reduce((first, other) => (daysOf(other) < daysOf(first) ? other : first));
  }
}

const NOTHING: Amount = { bytes: 0, inodes: 0 };
const DAY_MS = 86_400_000;
const AGE_RULES_PAUSED =
  'age rules pause until it is back, or somebody says that it is right ("d4 retention accept-clock")';

function daysOf(forecast: Forecast): number {
  return forecast.outcome === 'full' ? forecast.days : Number.POSITIVE_INFINITY;
}

function pressureIn(disks: readonly DiskWatch[]): string {
  const { path } = disks.find(({ verdict }) => verdict.state !== 'ok') ?? disks[0] ?? { path: 'the server' };
  return `the disk of ${path} is nearly full: retention removes what it may`;
}

function pauseFrom(text: string | undefined): ClockPause | undefined {
  return text === undefined || text === '' ? undefined : (JSON.parse(text) as ClockPause);
}
