import { type SensorState, STATE_LOOKS } from './sensor-states.ts';
import { Tone } from './tone.tsx';

/** How a sensor is; what that means on hover. */
export function StateBadge({ state, refusedFor }: { state: SensorState; refusedFor?: string | null }) {
  const { word, tone, shape, meaning } = STATE_LOOKS[state];
  return (
    <Tone tone={tone} shape={shape} title={refusedFor ? `${meaning}: ${refusedFor}` : meaning}>
      {refusedFor ? `${word}: ${refusedFor}` : word}
    </Tone>
  );
}
