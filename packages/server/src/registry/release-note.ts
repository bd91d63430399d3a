import type { Registry } from './port.ts';

/** What retention is about to let go of, of the journal of a topic. */
export interface ReleaseNote {
  /** Everything before this sequence. */
  readonly before: number;
  /** How many items that is. */
  readonly records: number;
  readonly why: string;
}

type Progress = Pick<Registry, 'loadProgress' | 'saveProgress'>;

/** Notes a release, durably: after a crash what is not there any more is known to have been removed. */
export async function noteRelease(registry: Progress, topic: string, note: ReleaseNote): Promise<void> {
  await registry.saveProgress(role(topic), JSON.stringify(note));
}

/** The last release of a topic, carried out or not. */
export function lastRelease(registry: Progress, topic: string): ReleaseNote | undefined {
  const text = registry.loadProgress(role(topic));
  return text === undefined ? undefined : (JSON.parse(text) as ReleaseNote);
}

function role(topic: string): string {
  return `release:${topic}`;
}
