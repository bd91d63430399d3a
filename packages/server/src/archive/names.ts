import { type SensorId, sensorIdHex, WIRE_TYPE } from '@d4ts/protocol';
import type { StreamDefinition } from '../journal/port.ts';

/** The day in UTC that a time (ms since 1970) lies in, as folders: year, month, day. */
function dayFolders(time: number): [string, string, string] {
  const [year = '', month = '', day = ''] = new Date(time).toISOString().slice(0, 10).split('-');
  return [year, month, day];
}

/** The UTC midnight that ends the day of a time, in ms since 1970. */
export function nextMidnight(time: number): number {
  const day = 24 * 60 * 60 * 1000;
  return (Math.floor(time / day) + 1) * day;
}

/**
 * The folder of a stream's files below the archive's root (docs/drop-in.md, "Files on disk"). A topic's name is safe in
 * a path: journal rule 1.
 */
export function streamFolder(stream: StreamDefinition, time: number): string[] {
  const folder = [sensorIdHex(stream.sensor), String(stream.type), ...dayFolders(time)];
  return stream.type === WIRE_TYPE.declared ? [...folder, stream.topic] : folder;
}

/** `<uuid>-<YYYY>-<MM>-<DD>-<HHMMSS>`, in UTC, of a sensor's file that begins at `time` (ms since 1970). */
export function baseName(sensor: SensorId, time: number): string {
  const [date = '', clock = ''] = new Date(time).toISOString().slice(0, 19).split('T');
  return `${sensorIdHex(sensor)}-${date}-${clock.replaceAll(':', '')}`;
}

/**
 * The names that are taken, so that two streams never share one: the later one gets `-2`, `-3`, … (docs/journal.md,
 * rule 32). Names carry their second, so only those of the last while need to be known. Those of files that are not
 * announced yet are not saved: they are given again, in the same order.
 */
export class NameBook {
  readonly #taken = new Map<string, { readonly time: number; announced: boolean }>();

  /** @param announced paths without extension, with the time (ms) in their name */
  constructor(announced: Iterable<readonly [string, number]> = []) {
    for (const [name, time] of announced) this.announced(name, time);
  }

  /** A free name for a wanted one; it is taken from then on. */
  take(wanted: string, time: number): string {
    let name = wanted;
    for (let number = 2; this.#taken.has(name); number++) name = `${wanted}-${number}`;
    this.#taken.set(name, { time, announced: false });
    return name;
  }

  /** Says that a file of this name is announced. */
  announced(name: string, time: number): void {
    this.#taken.set(name, { time, announced: true });
  }

  /** Forgets names of before a time (ms): no file can begin then any more. */
  forgetBefore(time: number): void {
    for (const [name, taken] of this.#taken) {
      if (taken.time < time) this.#taken.delete(name);
    }
  }

  /** The names of announced files. */
  entries(): [string, number][] {
    return [...this.#taken].filter(([, taken]) => taken.announced).map(([name, { time }]) => [name, time]);
  }
}
