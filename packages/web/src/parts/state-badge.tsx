import classes from './parts.module.css';
import { type SensorState, STATE_LOOKS } from './sensor-states.ts';

/** How a sensor is; what that means on hover. Shape and word say it too, not colour alone. */
export function StateBadge({ state, refusedFor }: { state: SensorState; refusedFor?: string | null }) {
  const { word, tone, shape, meaning } = STATE_LOOKS[state];
  return (
    <span
      className={classes.state}
      data-tone={tone}
      data-hollow={shape === 'hollow' || undefined}
      data-square={shape === 'square' || undefined}
      title={refusedFor ? `${meaning}: ${refusedFor}` : meaning}
    >
      <i aria-hidden="true" />
      <span className="ellipsis">{refusedFor ? `${word}: ${refusedFor}` : word}</span>
    </span>
  );
}
