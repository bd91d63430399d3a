import type { SegmentFacts } from '../journal/port.ts';
import type { RemovalReason, RetentionPolicy } from './port.ts';

/** Under pressure an open segment of at least this length is ended, so that it can go. */
const LEAST_RENEWED_BYTES = 1024 * 1024;

/** A queue that reads a topic: it needs what stands at this sequence and behind it. */
export interface QueueNeed {
  readonly uuid: string;
  readonly sequence: number;
}

/** What is known of a topic of the journal. */
export interface TopicFacts {
  readonly topic: string;
  /** The oldest first. */
  readonly segments: readonly SegmentFacts[];
  /** What the archive still needs begins here. */
  readonly neededFrom: number;
  readonly queues: readonly QueueNeed[];
  /** Of this type alone; the policy's where it has none. */
  readonly maxBytes: number | undefined;
  /**
   * Of announcements of files: they are kept so long (ms), for they are small and list the archive, and no limit of bytes
   * holds for them.
   */
  readonly keepMs?: number;
}

/** What the journal's retention decides from. */
export interface JournalFacts {
  /** ms since 1970 */
  readonly now: number;
  /** Whether ages mean anything: not after a jump of the clock. */
  readonly ageRules: boolean;
  readonly topics: readonly TopicFacts[];
  readonly policy: RetentionPolicy;
  /** So much is to become free, because the disk is nearly full. */
  readonly wantedBytes: number;
}

/** Whole segments of a topic that are to go. */
export interface Release {
  readonly kind: 'release';
  readonly topic: string;
  readonly why: RemovalReason;
  /** Segments before this sequence. */
  readonly before: number;
  readonly segments: number;
  readonly bytes: number;
  /** Queues that have to give up what they have not handed out before that sequence, and why they have to. */
  readonly giveUp: readonly { readonly queue: string; readonly why: RemovalReason }[];
}

/** An open segment that is to be ended, so that it can go later. */
export interface Renewal {
  readonly kind: 'renew';
  readonly topic: string;
  readonly why: RemovalReason;
}

export type JournalStep = Release | Renewal;

/**
 * What has to go from the journal, in order (docs/journal.md, rules 16 to 18): what is outside of the rewind window and
 * of the queues' bounds; what is above a limit; under pressure the rewind window, then what queues hold. Never what the
 * archive needs, and never the segment that is written.
 */
export function planJournal(facts: JournalFacts): JournalStep[] {
  const plan = new JournalPlan(facts);
  plan.releaseWhatIsOutside();
  plan.keepLimits();
  plan.makeRoom();
  return plan.steps();
}

/** What the oldest segment of a topic waits for. */
export function waitsFor({ segments, neededFrom, queues }: TopicFacts): string | undefined {
  const [oldest, next] = segments;
  if (oldest === undefined) return undefined;
  if (oldest.endSequence > neededFrom) return 'archive';
  const queue = queues.find(({ sequence }) => sequence < oldest.endSequence);
  if (queue !== undefined) return `queue ${queue.uuid}`;
  return oldest.sealed && next !== undefined ? 'window' : 'open';
}

class JournalPlan {
  readonly #facts: JournalFacts;
  readonly #topics: readonly TopicPlan[];
  readonly #data: readonly TopicPlan[];
  readonly #releases: Release[] = [];
  readonly #renewals: Renewal[] = [];
  #wanted: number;

  constructor(facts: JournalFacts) {
    this.#facts = facts;
    this.#topics = facts.topics.map((topic) => new TopicPlan(topic, facts));
    this.#data = this.#topics.filter(({ keepMs }) => keepMs === undefined);
    this.#wanted = facts.wantedBytes;
  }

  steps(): JournalStep[] {
    return [...this.#releases, ...this.#renewals];
  }

  releaseWhatIsOutside(): void {
    const { now, ageRules, policy } = this.#facts;
    const isOlder = (time: number, ms: number) => ageRules && now - time > ms;
    for (let window = sum(this.#data, (topic) => topic.freeBytes()); ; ) {
      const topic = oldestOf(this.#data, (each) => each.isFree);
      const segment = topic?.oldest;
      if (topic === undefined || segment === undefined) break;
      const isOld = isOlder(segment.lastTime, policy.rewindAgeMs);
      if (!isOld && window <= policy.rewindBytes) break;
      window -= segment.bytes;
      this.#release(topic, isOld ? 'age' : 'total-bytes');
    }
    for (const topic of this.#topics) {
      const keptMs = topic.keepMs ?? policy.rewindAgeMs;
      while (topic.keepMs !== undefined && topic.oldest !== undefined && topic.isFree) {
        if (!isOlder(topic.oldest.lastTime, keptMs)) break;
        this.#release(topic, 'age');
      }
      const { tail } = topic;
      if (tail !== undefined && topic.isExpired(tail) && isOlder(tail.lastTime, keptMs)) this.#renew(topic, 'age');
    }
  }

  keepLimits(): void {
    const { policy } = this.#facts;
    for (const topic of this.#data) {
      const limit = topic.maxBytes ?? policy.journalTypeBytes ?? Number.POSITIVE_INFINITY;
      while (topic.bytes > limit && topic.oldest !== undefined) this.#release(topic, 'type-bytes');
      if (topic.bytes > limit) this.#renewLarge(topic, 'type-bytes');
    }
    const limit = policy.journalBytes ?? Number.POSITIVE_INFINITY;
    const isOver = () => sum(this.#data, ({ bytes }) => bytes) > limit;
    this.#releaseWhile(isOver, 'total-bytes');
    if (isOver()) for (const topic of this.#data) this.#renewLarge(topic, 'total-bytes');
  }

  makeRoom(): void {
    this.#releaseWhile(() => this.#wanted > 0, 'pressure');
    if (this.#wanted > 0) for (const topic of this.#data) this.#renewLarge(topic, 'pressure');
  }

  /** The rewind window first, then what queues hold; of each the oldest. */
  #releaseWhile(isNeeded: () => boolean, why: RemovalReason): void {
    for (const may of [(topic: TopicPlan) => topic.isFree, () => true]) {
      while (isNeeded()) {
        const topic = oldestOf(this.#data, may);
        if (topic === undefined) break;
        this.#release(topic, why);
      }
    }
  }

  #release(topic: TopicPlan, why: RemovalReason): void {
    const released = topic.release(why);
    this.#wanted -= released.bytes;
    const last = this.#releases.at(-1);
    if (last?.topic !== released.topic || last.why !== why) {
      this.#releases.push(released);
      return;
    }
    const queues = new Map([...last.giveUp, ...released.giveUp].map((each) => [each.queue, each]));
    const segments = last.segments + released.segments;
    const bytes = last.bytes + released.bytes;
    this.#releases[this.#releases.length - 1] = { ...released, segments, bytes, giveUp: [...queues.values()] };
  }

  #renewLarge(topic: TopicPlan, why: RemovalReason): void {
    if ((topic.tail?.bytes ?? 0) >= LEAST_RENEWED_BYTES) this.#renew(topic, why);
  }

  #renew({ topic }: TopicPlan, why: RemovalReason): void {
    if (!this.#renewals.some((each) => each.topic === topic)) this.#renewals.push({ kind: 'renew', topic, why });
  }
}

/** What is left of a topic while the plan is made. */
class TopicPlan {
  readonly topic: string;
  readonly keepMs: number | undefined;
  readonly maxBytes: number | undefined;
  /** Of the segments that are left. */
  bytes: number;
  readonly #facts: TopicFacts;
  readonly #journal: JournalFacts;
  #next = 0;

  constructor(facts: TopicFacts, journal: JournalFacts) {
    this.topic = facts.topic;
    this.keepMs = facts.keepMs;
    this.maxBytes = facts.maxBytes;
    this.#facts = facts;
    this.#journal = journal;
    this.bytes = facts.segments.reduce((total, segment) => total + segment.bytes, 0);
  }

  /** The oldest segment that is left, if it may go as far as the archive is concerned. */
  get oldest(): SegmentFacts | undefined {
    return this.#mayGo(this.#next) ? this.#facts.segments[this.#next] : undefined;
  }

  /** Whether no queue holds the oldest segment within its bound. */
  get isFree(): boolean {
    return this.oldest !== undefined && this.isExpired(this.oldest);
  }

  /** The segment that is written, if it is the only one left and nobody but queues needs it. */
  get tail(): SegmentFacts | undefined {
    const { segments, neededFrom } = this.#facts;
    const last = segments[this.#next];
    if (last === undefined || this.#next < segments.length - 1 || last.records === 0) return undefined;
    return last.endSequence <= neededFrom ? last : undefined;
  }

  /** Bytes of what is free, one segment after the other. */
  freeBytes(): number {
    let [free, left] = [0, this.bytes];
    for (let at = this.#next; this.#mayGo(at); at++) {
      const segment = this.#facts.segments[at] as SegmentFacts;
      if (!this.#isExpired(segment, left)) break;
      free += segment.bytes;
      left -= segment.bytes;
    }
    return free;
  }

  isExpired(segment: SegmentFacts): boolean {
    return this.#isExpired(segment, this.bytes);
  }

  /** Takes the oldest segment out. */
  release(why: RemovalReason): Release {
    const segment = this.#facts.segments[this.#next] as SegmentFacts;
    const giveUp = this.#lagging(segment).map(({ uuid: queue }) => ({
      queue,
      why: this.#boundOf(segment, this.bytes) ?? why,
    }));
    this.#next += 1;
    this.bytes -= segment.bytes;
    const { topic } = this;
    return { kind: 'release', topic, why, before: segment.endSequence, segments: 1, bytes: segment.bytes, giveUp };
  }

  #mayGo(at: number): boolean {
    const { segments, neededFrom } = this.#facts;
    const segment = segments[at];
    return segment?.sealed === true && at < segments.length - 1 && segment.endSequence <= neededFrom;
  }

  /** @param left bytes of the topic from this segment on */
  #isExpired(segment: SegmentFacts, left: number): boolean {
    return this.#lagging(segment).length === 0 || this.#boundOf(segment, left) !== undefined;
  }

  /** The bound of a queue that a segment is beyond, if it is: all queues have the same. */
  #boundOf(segment: SegmentFacts, left: number): RemovalReason | undefined {
    const { now, ageRules, policy } = this.#journal;
    if (ageRules && now - segment.lastTime > policy.queueAgeMs) return 'age';
    return left > policy.queueBytes ? 'queue-bytes' : undefined;
  }

  #lagging(segment: SegmentFacts): readonly QueueNeed[] {
    return this.#facts.queues.filter(({ sequence }) => sequence < segment.endSequence);
  }
}

function oldestOf(topics: readonly TopicPlan[], may: (topic: TopicPlan) => boolean): TopicPlan | undefined {
  let oldest: TopicPlan | undefined;
  for (const topic of topics) {
    const time = topic.oldest?.lastTime;
    if (time === undefined || !may(topic)) continue;
    if (oldest === undefined || time < (oldest.oldest?.lastTime ?? 0)) oldest = topic;
  }
  return oldest;
}

function sum(topics: readonly TopicPlan[], of: (topic: TopicPlan) => number): number {
  return topics.reduce((total, topic) => total + of(topic), 0);
}
