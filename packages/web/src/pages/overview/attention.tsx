import { IconChevronRight, IconCircleCheck } from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';
import type { Schemas } from '../../api/client.ts';
import { sentence } from '../../parts/loaded.tsx';
import { ATTENTION_PLACES } from './attention-places.ts';
import classes from './overview.module.css';

/** What needs somebody, first on the page. @param empty whether there is no sensor that could need anybody */
export function Attention({ items, empty }: { items: readonly Schemas['Attention'][]; empty: boolean }) {
  if (empty && items.length === 0) {
    return (
      <p className={classes.calm} data-empty="">
        No sensor is registered yet. Start under <Link to="/enrolment">Enrolment</Link>, and say which{' '}
        <Link to="/types">types</Link> you accept.
      </p>
    );
  }
  if (items.length === 0) {
    return (
      <p className={classes.calm} role="status">
        <IconCircleCheck size={18} aria-hidden="true" />
        Nothing needs you.
      </p>
    );
  }
  return (
    <section aria-label="Needs attention">
      <ul className={classes.attention}>
        {items.map(({ kind, urgency, message }) => (
          <li key={`${kind} ${message}`} data-urgency={urgency}>
            <Link {...(ATTENTION_PLACES[kind] ?? { to: '/settings' })}>
              <i aria-hidden="true" />
              <span>
                <span className="only-read">{urgency}: </span>
                {sentence(message)}
              </span>
              <IconChevronRight size={16} aria-hidden="true" />
            </Link>
          </li>
        ))}
      </ul>
    </section>
  );
}
