import { filesTopic } from '../archive/announcement.ts';
import { progressFrom, progressRole } from '../archive/progress.ts';
import type { Journal } from '../journal/port.ts';
import type { QueuePlace } from '../queues/port.ts';
import type { ArchiveHolding, Registry } from '../registry/port.ts';
import type { PairFacts } from './archive-plan.ts';
import type { TopicFacts } from './journal-plan.ts';
import type { RetentionPolicy } from './port.ts';

const FILES = filesTopic('');
/** How long announcements are kept whose files were removed. */
const ANNOUNCEMENTS_MS = 90 * 86_400_000;

/** What retention has to know of the topics of the journal. */
export function topicFacts(journal: Journal, registry: Registry, places: readonly QueuePlace[]): TopicFacts[] {
  return journal.topics().flatMap((topic): TopicFacts[] => {
    const segments = journal.get(topic)?.segments();
    if (segments === undefined) return [];
    const queues = places.filter(({ source }) => source === topic);
    if (!topic.startsWith(FILES)) {
      const neededFrom = progressFrom(registry.loadProgress(progressRole(topic))).sequence;
      return [{ topic, segments, neededFrom, queues, maxBytes: registry.types.get(topic)?.value.maxJournalBytes }];
    }
    const of = topic.slice(FILES.length);
    const { announcements } = progressFrom(registry.loadProgress(progressRole(of)));
    const left = [...registry.archive.holdings()].filter((holding) => holding.topic === of && holding.files > 0);
    const neededFrom = Math.min(
      announcements,
      registry.archive.countedBefore(of),
      ...left.map(({ nextSequence }) => nextSequence),
    );
    return [{ topic, segments, neededFrom, queues, maxBytes: undefined, keepMs: ANNOUNCEMENTS_MS }];
  });
}

/** What is to be kept of the files of each sensor and topic. */
export function pairFacts(registry: Registry, policy: RetentionPolicy): PairFacts[] {
  return [...registry.archive.holdings()]
    .filter(({ files }) => files > 0)
    .map(({ sensor, topic, files, bytes, oldest }: ArchiveHolding) => {
      const { hold = false, archive: ofSensor = {} } = registry.sensors.get(sensor)?.value ?? {};
      const { archive: ofType = {} } = registry.types.get(topic)?.value ?? {};
      return {
        sensor,
        topic,
        files,
        bytes,
        oldest,
        hold,
        priority: (ofSensor.priority ?? 0) + (ofType.priority ?? 0),
        maxAgeMs: ofSensor.maxAgeMs ?? ofType.maxAgeMs ?? policy.archiveAgeMs,
        sensorMaxBytes: ofSensor.maxBytes ?? policy.archiveSensorBytes,
        typeMaxBytes: ofType.maxBytes ?? policy.archiveTypeBytes,
      };
    });
}
