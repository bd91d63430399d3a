import type { SensorId } from '@d4ts/protocol';
import { type MaltrailEvent, parseMaltrailEvent, SEVERITIES, severityOf } from '../formats/maltrail-event.ts';

/** Longest texts that are kept of a threat, in characters; a trail that is longer is cut, and then one with all alike. */
const MAX_TRAIL = 1_000;
const MAX_TEXT = 300;
const DAY_MS = 86_400_000;

/** A threat: what was seen of one trail at one source. Times are ms since 1970, of the arrival here. */
export interface Threat {
  readonly source: string;
  readonly trail: string;
  /** Index in `SEVERITIES`: the worst of its events; type, info and reference are those of the last that bad. */
  readonly severity: number;
  readonly type: string;
  readonly info: string;
  readonly reference: string;
  readonly events: number;
  readonly first: number;
  readonly last: number;
  /** The smallest and the largest time that sensors wrote, in their own time. */
  readonly firstStamp: string;
  readonly lastStamp: string;
}

/** What one sensor has seen of a threat. */
export interface Sighting {
  readonly sensor: SensorId;
  /** What it called itself last. */
  readonly name: string;
  readonly events: number;
}

/** A threat within what was gathered. */
export interface GatheredThreat {
  readonly threat: Threat;
  readonly sightings: Map<SensorId, Sighting>;
}

/** Events of a day (UTC), sensor, severity and type. */
export interface DayCount {
  /** Days since 1970. */
  readonly day: number;
  readonly sensor: SensorId;
  readonly severity: number;
  readonly type: string;
  events: number;
}

/** Adds events up, until they are saved. */
export class Gathering {
  readonly threats = new Map<string, GatheredThreat>();
  readonly days = new Map<string, DayCount>();
  /** Lines that were events, and that were none. */
  events = 0;
  others = 0;

  /**
   * @param isWhole false where the stream ended within the line
   * @param time of the arrival, ms since 1970
   */
  addLine(line: string, isWhole: boolean, sensor: SensorId, time: number): void {
    const event = isWhole ? parseMaltrailEvent(line) : undefined;
    if (event === undefined) {
      this.others += 1;
      return;
    }
    this.events += 1;
    this.#addEvent(event, sensor, time);
  }

  #addEvent(event: MaltrailEvent, sensor: SensorId, time: number): void {
    const severity = SEVERITIES.indexOf(severityOf(event));
    const { sourceIp: source, timestamp, type } = event;
    const trail = cut(event.trail, MAX_TRAIL);
    const key = `${source} ${trail}`;
    const one: Threat = {
      ...{ source, trail, severity, type },
      info: cut(event.info, MAX_TEXT),
      reference: cut(event.reference, MAX_TEXT),
      events: 1,
      ...{ first: time, last: time, firstStamp: timestamp, lastStamp: timestamp },
    };
    const before = this.threats.get(key);
    const sightings = before?.sightings ?? new Map<SensorId, Sighting>();
    const events = (sightings.get(sensor)?.events ?? 0) + 1;
    sightings.set(sensor, { sensor, name: cut(event.sensor, MAX_TEXT), events });
    this.threats.set(key, { threat: before === undefined ? one : merged(before.threat, one), sightings });
    this.#addDay({ day: Math.floor(time / DAY_MS), sensor, severity, type, events: 1 });
  }

  #addDay(count: DayCount): void {
    const key = `${count.day} ${count.sensor} ${count.severity} ${count.type}`;
    const before = this.days.get(key);
    if (before === undefined) this.days.set(key, count);
    else before.events += count.events;
  }
}

/** Two parts of what was seen of a threat, the later one second. */
export function merged(before: Threat, now: Threat): Threat {
  const { severity, type, info, reference } = now.severity >= before.severity ? now : before;
  return {
    ...{ source: before.source, trail: before.trail, severity, type, info, reference },
    events: before.events + now.events,
    first: Math.min(before.first, now.first),
    last: Math.max(before.last, now.last),
    firstStamp: before.firstStamp < now.firstStamp ? before.firstStamp : now.firstStamp,
    lastStamp: before.lastStamp > now.lastStamp ? before.lastStamp : now.lastStamp,
  };
}

function cut(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}
