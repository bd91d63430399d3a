import type { Logger } from 'pino';

interface Part {
  readonly name: string;
  readonly withinMs: number;
  readonly stop: () => Promise<void>;
}

/** What has been started, to be stopped in reverse. */
export class StartedParts {
  readonly #log: Logger;
  readonly #parts: Part[] = [];
  #stopping: Promise<void> | undefined;

  constructor(log: Logger) {
    this.#log = log;
  }

  /** @param withinMs after this the next part is stopped, whatever this one does */
  add(name: string, withinMs: number, stop: () => Promise<void>): void {
    this.#parts.push({ name, withinMs, stop });
  }

  /** Stops all parts, the last one first. Never rejects: a failure is logged and does not keep the others. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stopAll();
    return this.#stopping;
  }

  async #stopAll(): Promise<void> {
    for (const part of this.#parts.reverse()) {
      try {
        if (!(await resolvesWithin(part.withinMs, part.stop()))) {
          this.#log.error({ part: part.name, ms: part.withinMs }, 'a part did not stop in time and is left');
        }
      } catch (error) {
        this.#log.error({ part: part.name, err: error }, 'a part failed while it stopped');
      }
    }
  }
}

async function resolvesWithin(ms: number, work: Promise<void>): Promise<boolean> {
  const { promise: late, resolve } = Promise.withResolvers<false>();
  const timer = setTimeout(resolve, ms, false);
  try {
    return await Promise.race([work.then(() => true), late]);
  } finally {
    clearTimeout(timer);
  }
}
