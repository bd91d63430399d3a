import { D4Error, type SensorId, WIRE_TYPE } from '@d4ts/protocol';
import type { Logger } from 'pino';
import type { Format } from '../formats/port.ts';
import type { Journal, Topic } from '../journal/port.ts';
import type { ExporterDefinition, ExporterSecrets, ExporterTarget } from '../registry/exporter.ts';
import type { Actor, CursorState, Registry } from '../registry/port.ts';
import type { OpenJournalItems } from './journal-source.ts';
import { checkOutputFile } from './ordinary-file.ts';
import type { RecordFilter } from './port.ts';
import { changedSettings, sealed, unsealed } from './secret-query.ts';
import { type ExporterInfo, SupervisedExporter } from './supervised-exporter.ts';
import { targetOpener } from './targets.ts';

/** Cursors are saved at most this long after a change (docs/journal.md, rule 25). */
const SAVE_MS = 100;
const TICK_MS = 1_000;
/** Before the name of an exporter in the key of its cursor, and where it stands among queues. */
const KEY_PREFIX = 'exporter:';
const ATTEMPTS = 5;

/** How an exporter is to be. */
export interface NewExporter {
  readonly name: string;
  readonly type: string;
  /** All if not given. */
  readonly sensors?: readonly SensorId[];
  readonly description?: string;
  readonly target: ExporterTarget;
  readonly secrets?: ExporterSecrets;
  readonly paused?: boolean;
  /** Begins with the first record at or after this time, ms since 1970; with what comes now if not given. */
  readonly from?: number;
}

/** What may be changed of an exporter; what is not delivered is delivered as the change says. */
export interface ExporterChange {
  readonly description?: string;
  readonly sensors?: readonly SensorId[] | null;
  readonly target?: ExporterTarget;
  /** In place of those that it has. */
  readonly secrets?: ExporterSecrets;
}

/** Where something that reads the journal stands. */
interface JournalPlace {
  readonly uuid: string;
  /** The topic of the journal that it reads. */
  readonly source: Topic;
  readonly sequence: number;
}

/** What holds the journal, and can be made to let go of it: the queues. */
interface HoldsJournal {
  places(): Promise<JournalPlace[]>;
  giveUpBefore(key: string, sequence: number): Promise<ReadonlyMap<SensorId, number>>;
  forgetBlocks(source: Topic): void;
}

/** What exporters need of the rest of the server. */
export interface ExportersOptions {
  readonly registry: Registry;
  readonly journal: Journal;
  readonly formats: (topic: Topic) => Format;
  readonly items: OpenJournalItems;
  readonly log: Logger;
  /** This server's name in lists of hops (`serverHop`). */
  readonly self: () => string;
  /** The server's folder, where no exporter may write; none in tests that have no server. */
  readonly home?: string;
  /** Those of d4.yaml. */
  readonly declared?: readonly NewExporter[];
  /** What of a topic is exported, if not all of it. */
  readonly filterFor?: (definition: ExporterDefinition) => RecordFilter | undefined;
}

/** For the journal: a sequence above all that exporters have passed, by topic (docs/journal.md, rule 12). */
export function exporterSequences(registry: Registry, sourceOf: (topic: Topic) => Topic): (topic: Topic) => number {
  const highest = new Map<Topic, number>();
  const cursors = registry.loadCursors();
  for (const [name, { value }] of registry.exporters.entries()) {
    const { sequence = 1, record = 0 } = cursors.get(`${KEY_PREFIX}${name}`) ?? {};
    const topic = sourceOf(value.topic);
    highest.set(topic, Math.max(highest.get(topic) ?? 1, record > 0 ? sequence + 1 : sequence));
  }
  return (topic) => highest.get(topic) ?? 1;
}

/** The exporters of the server: each on its own cursor, and none in the way of another. */
export class Exporters {
  readonly #options: ExportersOptions;
  readonly #running = new Map<string, SupervisedExporter>();
  readonly #unsaved = new Set<SupervisedExporter>();
  readonly #ticking: NodeJS.Timeout;
  #saveTimer: NodeJS.Timeout | undefined;
  #saving: Promise<void> = Promise.resolve();
  #closed = false;
  /** Changes, one after another. */
  #line: Promise<unknown> = Promise.resolve();

  private constructor(options: ExportersOptions) {
    this.#options = options;
    this.#ticking = setInterval(() => this.#tick(), TICK_MS).unref();
  }

  /**
   * Starts all that are not paused.
   * @throws {D4Error} D4_CONFLICT where one of d4.yaml has the name of another; D4_BAD_EXPORTER
   */
  static async open(options: ExportersOptions): Promise<Exporters> {
    const exporters = new Exporters(options);
    await exporters.#declare(options.declared ?? []);
    const cursors = options.registry.loadCursors();
    for (const [name, { value }] of options.registry.exporters.entries()) {
      const cursor = cursors.get(`${KEY_PREFIX}${name}`) ?? (await exporters.#newCursor(value.topic));
      exporters.#start(value, cursor);
    }
    return exporters;
  }

  list(): ExporterInfo[] {
    return [...this.#running.values()].map((exporter) => this.#info(exporter));
  }

  get(name: string): ExporterInfo | undefined {
    const exporter = this.#running.get(name);
    return exporter && this.#info(exporter);
  }

  /** @throws {D4Error} D4_CONFLICT, D4_TYPE_NOT_ACCEPTED, D4_BAD_EXPORTER, D4_BAD_GROUP */
  add(options: NewExporter, actor: Actor): Promise<ExporterInfo> {
    return this.#oneByOne(async () => {
      const { registry } = this.#options;
      if (registry.exporters.get(options.name) !== undefined) {
        throw new D4Error('D4_CONFLICT', `there is an exporter "${options.name}" already`);
      }
      const definition = this.#definition({ ...options, type: this.#acceptedTopic(options.type) }, false);
      await this.#checkFile(definition.name, definition.target);
      const cursor = await this.#newCursor(definition.topic, options.from);
      await registry.saveCursors(new Map([[`${KEY_PREFIX}${definition.name}`, cursor]]));
      await registry.exporters.put(definition.name, definition, actor, 0);
      return this.#info(this.#start(definition, cursor));
    });
  }

  /**
   * @param expectedRevision change it only if it is still this one
   * @returns undefined where there is no such exporter
   * @throws {D4Error} D4_CONFLICT, also for one of d4.yaml; D4_BAD_EXPORTER, D4_BAD_GROUP
   */
  async change(
    name: string,
    change: ExporterChange,
    actor: Actor,
    expectedRevision?: number,
  ): Promise<ExporterInfo | undefined> {
    await this.#checkFile(name, change.target);
    return this.#put(
      name,
      (definition) => {
        refuseDeclared(definition, 'changed');
        const { description, sensors, target, secrets } = change;
        const changed: ExporterDefinition = {
          ...definition,
          ...(description !== undefined && { description }),
          ...(sensors !== undefined && { sensors: sensors === null ? 'all' : groupOf(sensors) }),
          ...sealed(
            changedSettings(unsealed(definition), {
              ...(target !== undefined && { target }),
              ...(secrets !== undefined && { secrets }),
            }),
          ),
        };
        this.#check(changed);
        return changed;
      },
      actor,
      expectedRevision,
    );
  }

  /** Stops an exporter, or lets it go on where it stopped. @returns undefined where there is none */
  pause(name: string, paused: boolean, actor: Actor, expectedRevision?: number): Promise<ExporterInfo | undefined> {
    return this.#put(name, (definition) => ({ ...definition, paused }), actor, expectedRevision);
  }

  /** @returns whether there was one. @throws {D4Error} D4_CONFLICT for one of d4.yaml */
  remove(name: string, actor: Actor, expectedRevision?: number): Promise<boolean> {
    return this.#oneByOne(async () => {
      const { registry } = this.#options;
      const known = registry.exporters.get(name);
      if (known === undefined) return false;
      refuseDeclared(known.value, 'removed');
      await registry.exporters.remove(name, actor, expectedRevision);
      await this.#forget(name);
      return true;
    });
  }

  /**
   * The queues as retention sees them, and the exporters among them: they hold the journal in the same way and within the
   * same bounds (docs/journal.md, rule 17). The key of an exporter is `exporter:` and its name.
   */
  amongQueues(queues: HoldsJournal): HoldsJournal {
    return {
      places: async () => [...(await queues.places()), ...(await this.#places())],
      giveUpBefore: (key, sequence) =>
        key.startsWith(KEY_PREFIX)
          ? this.#giveUpBefore(key.slice(KEY_PREFIX.length), sequence)
          : queues.giveUpBefore(key, sequence),
      forgetBlocks: (source) => {
        queues.forgetBlocks(source);
        this.#forgetBlocks(source);
      },
    };
  }

  /** Stops all of them, for some seconds each at the same time, and saves where they stand. */
  async close(): Promise<void> {
    if (this.#closed) return;
    clearInterval(this.#ticking);
    await this.#line.catch(() => {});
    await Promise.all([...this.#running.values()].map((exporter) => exporter.stop()));
    for (const exporter of this.#running.values()) this.#unsaved.add(exporter);
    this.#closed = true;
    clearTimeout(this.#saveTimer);
    await this.#saving;
    await this.#save();
  }

  async #places(): Promise<JournalPlace[]> {
    const all = [...this.#running.values()];
    for (const exporter of all) this.#unsaved.add(exporter);
    await this.#save();
    return all.map(({ definition, savedSequence: sequence }) => ({
      uuid: `${KEY_PREFIX}${definition.name}`,
      source: this.#options.items.sourceOf(definition.topic),
      sequence,
    }));
  }

  /** Makes an exporter give up what it has not delivered before a sequence; resolved when that is counted and saved. */
  #giveUpBefore(name: string, sequence: number): Promise<ReadonlyMap<SensorId, number>> {
    return this.#oneByOne(async () => {
      const exporter = this.#running.get(name);
      if (exporter === undefined) return new Map();
      await exporter.stop();
      const position = await exporter.position();
      const lost = new Map<SensorId, number>();
      if (position.sequence < sequence) {
        const { topic, sensors } = exporter.definition;
        const log = await this.#options.journal.open(this.#options.items.sourceOf(topic));
        for (const [sensor, items] of await log.itemsBetween(position, sequence)) {
          if (sensors === 'all' || sensors.includes(sensor)) lost.set(sensor, items);
        }
        const records = [...lost.values()].reduce((sum, items) => sum + items, 0);
        exporter.jump({ sequence, record: 0 }, records);
      }
      this.#unsaved.add(exporter);
      await this.#save();
      exporter.start();
      return lost;
    });
  }

  #forgetBlocks(source: Topic): void {
    for (const exporter of this.#running.values()) {
      if (this.#options.items.sourceOf(exporter.definition.topic) === source) exporter.release();
    }
  }

  #info(exporter: SupervisedExporter): ExporterInfo {
    return exporter.info(this.#options.registry.exporters.get(exporter.definition.name)?.revision ?? 0);
  }

  #oneByOne<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#line.then(work, work);
    this.#line = done.catch(() => {});
    return done;
  }

  #put(
    name: string,
    change: (definition: ExporterDefinition) => ExporterDefinition,
    actor: Actor,
    expectedRevision?: number,
  ): Promise<ExporterInfo | undefined> {
    return this.#oneByOne(async () => {
      const { exporters } = this.#options.registry;
      for (let attempt = 1; ; attempt++) {
        const current = exporters.get(name);
        const exporter = this.#running.get(name);
        if (current === undefined || exporter === undefined) return undefined;
        const changed = change(current.value);
        try {
          await exporters.put(name, changed, actor, expectedRevision ?? current.revision);
          await exporter.redefine(changed);
          return this.#info(exporter);
        } catch (error) {
          const conflict = error instanceof D4Error && error.code === 'D4_CONFLICT';
          if (!conflict || expectedRevision !== undefined || attempt === ATTEMPTS) throw error;
        }
      }
    });
  }

  /** Makes the registry's exporters of d4.yaml those that stand there. */
  async #declare(declared: readonly NewExporter[]): Promise<void> {
    const { registry } = this.#options;
    const actor: Actor = { name: 'd4.yaml' };
    for (const options of declared) {
      const known = registry.exporters.get(options.name)?.value;
      if (known?.declared === false) {
        const message = `d4.yaml declares an exporter "${options.name}", but there is one of that name already: remove it with "d4 exporter remove ${options.name}", or choose another name`;
        throw new D4Error('D4_CONFIG', message);
      }
      const definition = { ...this.#definition(options, true), ...(known && { createdAt: known.createdAt }) };
      // A pause by hand holds until d4.yaml says something else.
      const kept =
        options.paused === undefined && known !== undefined ? { ...definition, paused: known.paused } : definition;
      if (known?.topic !== undefined && known.topic !== kept.topic)
        await registry.removeCursor(`${KEY_PREFIX}${options.name}`);
      if (JSON.stringify(known) !== JSON.stringify(kept)) await registry.exporters.put(options.name, kept, actor);
    }
    const names = new Set(declared.map(({ name }) => name));
    for (const [name, { value }] of [...registry.exporters.entries()]) {
      if (!value.declared || names.has(name)) continue;
      await registry.exporters.remove(name, actor);
      await registry.removeCursor(`${KEY_PREFIX}${name}`);
    }
  }

  #definition(options: NewExporter, declared: boolean): ExporterDefinition {
    const { name, type: topic, sensors, description = '', target, secrets = {}, paused = false } = options;
    const definition: ExporterDefinition = {
      name,
      topic,
      sensors: sensors === undefined ? 'all' : groupOf(sensors),
      description,
      ...sealed({ target, secrets }),
      paused,
      declared,
      createdAt: Date.now(),
    };
    this.#check(definition);
    return definition;
  }

  /** @throws {D4Error} D4_BAD_EXPORTER where its settings do not go together */
  #check(definition: ExporterDefinition): void {
    const { name, topic } = definition;
    const { target, secrets } = unsealed(definition);
    const hasFiles = this.#options.formats(topic).items === 'files';
    if (target.kind === 'file' && target.files === true && !hasFiles) {
      // A sensor could have any file of this machine read by what it sends.
      const message = `exporter ${name}: files=true is for types whose records are paths of files; those of type ${topic} are what sensors send`;
      throw new D4Error('D4_BAD_EXPORTER', message);
    }
    if (target.kind === 'd4' && hasFiles) {
      const message = `exporter ${name}: the records of type ${topic} are files of this machine, which another server cannot take`;
      throw new D4Error('D4_BAD_EXPORTER', message);
    }
    try {
      targetOpener(target, secrets, { type: topic, self: this.#options.self() });
    } catch (error) {
      throw badExporter(name, error);
    }
  }

  /** @throws {D4Error} D4_BAD_EXPORTER where records may not be written there */
  async #checkFile(name: string, target: ExporterTarget | undefined): Promise<void> {
    const { home } = this.#options;
    if (target?.kind !== 'file' || home === undefined) return;
    await checkOutputFile(target.path, home).catch((error) => {
      throw badExporter(name, error);
    });
  }

  #acceptedTopic(type: string): Topic {
    const declared = [WIRE_TYPE.declared, WIRE_TYPE.metaHeader].map(String);
    for (const [topic] of this.#options.registry.types.entries()) {
      if (topic.toLowerCase() === type.toLowerCase() && !declared.includes(topic)) return topic;
    }
    const message = `type "${type}" is not accepted: accept it first with "d4 type add ${type}"`;
    throw new D4Error('D4_TYPE_NOT_ACCEPTED', message);
  }

  async #newCursor(topic: Topic, from?: number): Promise<CursorState> {
    const position = await this.#options.items.start(topic, from);
    return { ...position, taken: 0, dropped: 0, flushed: 0, givenBack: [] };
  }

  #start(definition: ExporterDefinition, cursor: CursorState): SupervisedExporter {
    const { items, self, home, log, filterFor } = this.#options;
    const exporter = new SupervisedExporter(definition, cursor, {
      items,
      self,
      home,
      log,
      filterFor,
      changed: (changed) => this.#changed(changed),
    });
    this.#running.set(definition.name, exporter);
    exporter.start();
    this.#changed(exporter);
    return exporter;
  }

  async #forget(name: string): Promise<void> {
    const exporter = this.#running.get(name);
    this.#running.delete(name);
    await exporter?.stop();
    if (exporter !== undefined) this.#unsaved.delete(exporter);
    await this.#saving;
    await this.#options.registry.removeCursor(`${KEY_PREFIX}${name}`);
  }

  #tick(): void {
    for (const exporter of this.#running.values()) exporter.tick();
  }

  #changed(exporter: SupervisedExporter): void {
    this.#unsaved.add(exporter);
    if (this.#closed) return;
    this.#saveTimer ??= setTimeout(() => {
      this.#saveTimer = undefined;
      this.#saving = this.#saving.then(() => this.#save());
    }, SAVE_MS);
  }

  async #save(): Promise<void> {
    const exporters = [...this.#unsaved].filter((each) => this.#running.get(each.definition.name) === each);
    this.#unsaved.clear();
    if (exporters.length === 0) return;
    try {
      const states = new Map<string, CursorState>();
      for (const exporter of exporters) states.set(`${KEY_PREFIX}${exporter.definition.name}`, await exporter.cursor());
      await this.#options.registry.saveCursors(states);
      for (const exporter of exporters) {
        exporter.saved(states.get(`${KEY_PREFIX}${exporter.definition.name}`)?.sequence ?? 0);
      }
    } catch (error) {
      this.#options.log.error({ err: error }, 'cannot save the positions of exporters: trying again');
      for (const exporter of exporters) this.#changed(exporter);
    }
  }
}

function badExporter(name: string, error: unknown): D4Error {
  const why = error instanceof Error ? error.message : String(error);
  return new D4Error('D4_BAD_EXPORTER', `exporter ${name}: ${why}`, error);
}

function refuseDeclared({ name, declared }: ExporterDefinition, what: string): void {
  if (!declared) return;
  throw new D4Error('D4_CONFLICT', `exporter ${name} is declared in d4.yaml: it is ${what} there`);
}

/** Sensors of a group: each once, in order. */
function groupOf(sensors: readonly SensorId[]): readonly SensorId[] {
  const group = [...new Set(sensors)].sort();
  if (group.length === 0) throw new D4Error('D4_BAD_GROUP', 'an exporter of some sensors needs at least one');
  return group;
}
