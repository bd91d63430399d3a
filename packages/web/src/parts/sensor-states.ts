import type { Schemas } from '../api/client.ts';

/** The one word for how a sensor is; the server decides it by precedence. */
export type SensorState = Schemas['Sensor']['state'];

/** How a state looks and what it means. */
interface StateLook {
  readonly word: string;
  readonly tone: 'good' | 'calm' | 'warn' | 'bad' | 'idle' | 'special';
  readonly shape?: 'hollow' | 'square';
  readonly meaning: string;
}

/** Every state, in the order in which a list of them is read: what sends first, what needs somebody last. */
export const STATE_LOOKS: Readonly<Record<SensorState, StateLook>> = {
  receiving: { word: 'receiving', tone: 'good', meaning: 'Connected, and data came within the last minute' },
  quiet: { word: 'quiet', tone: 'calm', meaning: 'Connected, but nothing came for more than a minute' },
  disconnected: { word: 'disconnected', tone: 'idle', shape: 'hollow', meaning: 'Not connected' },
  'over-quota': {
    word: 'over quota',
    tone: 'warn',
    meaning: 'Connected, but it has sent all that it may today (UTC) and is not read until tomorrow',
  },
  refused: { word: 'refused', tone: 'bad', meaning: 'Not connected; the last attempt was refused' },
  cloned: { word: 'cloned?', tone: 'bad', shape: 'square', meaning: 'Two connections of one type are both active' },
  pending: { word: 'pending', tone: 'special', shape: 'hollow', meaning: 'Waits for somebody to approve it' },
  revoked: { word: 'revoked', tone: 'idle', shape: 'square', meaning: 'Its approval was taken back' },
  blocked: { word: 'blocked', tone: 'bad', shape: 'square', meaning: 'Its uuid is blocked' },
};

/** All states, in the order of `STATE_LOOKS`. */
export const SENSOR_STATES = Object.keys(STATE_LOOKS) as SensorState[];
