import { isMaltrailEvent } from '../formats/maltrail-event.ts';
import type { RecordFilter } from './port.ts';

/** What is known of an exporter before it runs. */
interface Exported {
  readonly topic: string;
  readonly target: { readonly kind: string; readonly everyLine?: boolean };
}

/**
 * What a UDP exporter sends of what Maltrail sensors print: events alone, unless it was told otherwise. Maltrail's server
 * would store some of the other lines as events (docs/drop-in.md).
 * @returns undefined where everything is sent
 */
export function eventsOnly({ topic, target }: Exported): RecordFilter | undefined {
  return topic === 'maltrail' && target.kind === 'udp' && target.everyLine !== true ? isMaltrailEvent : undefined;
}
