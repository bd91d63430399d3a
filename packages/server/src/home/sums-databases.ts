import { THREATS_FORMAT, THREATS_SCHEMA } from '../maltrail/threat-store.ts';
import { LEDGER_FORMAT, LEDGER_SCHEMA } from '../monitor/ledger/ledger-store.ts';
import { SESSIONS_FORMAT, SESSIONS_SCHEMA } from '../monitor/sessions/session-store.ts';
import type { SumsDatabase } from '../registry/mend-database.ts';
import type { HomePaths } from './home.ts';

/** The databases of a home beside the registry: sums of what the journal has had, and what was seen. They are looked at before they are opened. */
export function sumsDatabases({
  ledger,
  maltrail,
  sessions,
}: HomePaths): Readonly<Record<'ledger' | 'threats' | 'sessions', SumsDatabase>> {
  return {
    ledger: { file: ledger, schema: LEDGER_SCHEMA, format: LEDGER_FORMAT },
    threats: { file: maltrail, schema: THREATS_SCHEMA, format: THREATS_FORMAT },
    sessions: { file: sessions, schema: SESSIONS_SCHEMA, format: SESSIONS_FORMAT },
  };
}
