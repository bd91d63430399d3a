import { D4Error, type SensorId } from '@d4ts/protocol';
import Type, { type Static } from 'typebox';
import type { ArchiveRules, Registry } from '../registry/port.ts';

/* What is kept of a sensor or a type in the archive, in the documents of the interface. */

const priority = Type.Integer({ minimum: -1_000, maximum: 1_000 });
const limit = Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER });
const orNull = (description: string) => Type.Union([limit, Type.Null()], { description });

/** What a sensor and a type show of it. */
export const ARCHIVE_RULES = {
  archivePriority: Type.Integer({
    description:
      'What is lower goes first when files have to make room; that of the sensor and that of the type are added',
  }),
  archiveMaxAgeMs: orNull('How long its files are kept, in ms, where it is not what holds for all'),
  archiveMaxBytes: orNull('What the archive keeps of it at the most, where it is not what holds for all'),
};

/** What may be changed of it; null takes a limit away. */
export const ARCHIVE_RULES_CHANGE = {
  archivePriority: Type.Optional(priority),
  archiveMaxAgeMs: Type.Optional(Type.Union([limit, Type.Null()])),
  archiveMaxBytes: Type.Optional(Type.Union([limit, Type.Null()])),
};
const Change = Type.Object(ARCHIVE_RULES_CHANGE);
type Change = { readonly [N in keyof Static<typeof Change>]?: Static<typeof Change>[N] | undefined };

/** As the interface shows it. */
export function archiveRulesView({ priority = 0, maxAgeMs, maxBytes }: ArchiveRules = {}): {
  archivePriority: number;
  archiveMaxAgeMs: number | null;
  archiveMaxBytes: number | null;
} {
  return { archivePriority: priority, archiveMaxAgeMs: maxAgeMs ?? null, archiveMaxBytes: maxBytes ?? null };
}

/** Makes a change; nothing is left where nothing differs from what holds for all. */
export function changedArchiveRules(before: ArchiveRules = {}, change: Change): { archive?: ArchiveRules } {
  const priority = change.archivePriority ?? before.priority ?? 0;
  const maxAgeMs = change.archiveMaxAgeMs === undefined ? before.maxAgeMs : (change.archiveMaxAgeMs ?? undefined);
  const maxBytes = change.archiveMaxBytes === undefined ? before.maxBytes : (change.archiveMaxBytes ?? undefined);
  const archive: ArchiveRules = {
    ...(priority !== 0 && { priority }),
    ...(maxAgeMs !== undefined && { maxAgeMs }),
    ...(maxBytes !== undefined && { maxBytes }),
  };
  return Object.keys(archive).length === 0 ? {} : { archive };
}

/** What is on hold must not be forgotten, or nobody would know of the hold. @throws {D4Error} D4_CONFLICT */
export function refuseIfHeld({ sensors }: Pick<Registry, 'sensors'>, uuid: SensorId): void {
  if (sensors.get(uuid)?.value.hold !== true) return;
  throw new D4Error('D4_CONFLICT', `sensor ${uuid} is on hold: release it first`);
}
