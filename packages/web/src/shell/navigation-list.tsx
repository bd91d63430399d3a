import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { pendingCount } from '../api/queries.ts';
import { NAVIGATION } from './navigation.ts';
import classes from './shell.module.css';

/** The pages, in groups; the one that is shown is marked. */
export function Navigation() {
  const { data: pending = 0 } = useQuery(pendingCount);
  return (
    <nav aria-label="Pages">
      {NAVIGATION.map(({ title, entries }) => (
        <div key={title} className={classes.group}>
          <div className={classes.groupTitle} id={`pages-${title}`}>
            {title}
          </div>
          <ul aria-labelledby={`pages-${title}`}>
            {entries.map(({ to, label, icon: Icon }) => (
              <li key={to}>
                <Link to={to} className={classes.entry} activeOptions={{ exact: to === '/', includeSearch: false }}>
                  <Icon size={17} stroke={1.7} aria-hidden="true" />
                  {label}
                  {to === '/enrolment' && pending > 0 && (
                    <span className={classes.count}>
                      {pending}
                      <span className="only-read"> waiting</span>
                    </span>
                  )}
                </Link>
              </li>
            ))}
          </ul>
        </div>
      ))}
    </nav>
  );
}
