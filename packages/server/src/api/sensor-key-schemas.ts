import Type, { type Static } from 'typebox';
import { closed, words } from './schema-parts.ts';
import { SensorView } from './sensor-schemas.ts';

/* Keys of sensors. */

const MAX_OVERLAP_SECONDS = 90 * 24 * 60 * 60;

const keyEncoding = words(['utf8', 'base64'] as const, 'What `key` is; `utf8` if not given');

export const KeyChange = closed('SensorKeyChange', {
  key: Type.Optional(
    Type.String({
      description: '1 to 1,023 bytes, taken as it is; made by chance if not given',
      examples: ['a long random text'],
    }),
  ),
  keyEncoding: Type.Optional(keyEncoding),
  overlapSeconds: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: MAX_OVERLAP_SECONDS,
      description:
        'How long the key before holds too: a day if not given, but 0 for a sensor that registered itself with the default key',
    }),
  ),
  revision: Type.Optional(Type.Integer({ minimum: 1, description: 'Change only if it is still this one' })),
});

export const KeyChanged = closed('SensorKeyChanged', {
  sensor: SensorView,
  key: Type.Union([Type.String(), Type.Null()], { description: 'The one that was made; null where it was given' }),
});
export type KeyChanged = Static<typeof KeyChanged>;

export const RevealedKey = closed('RevealedKey', { key: Type.String(), keyEncoding });
export type RevealedKey = Static<typeof RevealedKey>;
