import { THREATS_FORMAT, THREATS_SCHEMA } from '../maltrail/threat-store.ts';
import { LEDGER_FORMAT, LEDGER_SCHEMA } from '../monitor/ledger/ledger-store.ts';
import type { SumsDatabase } from '../registry/mend-database.ts';
import type { HomePaths } from './home.ts';

/** The databases of a home that hold sums of what the journal has had: they are looked at before they are opened. */
export function sumsDatabases({ ledger, maltrail }: HomePaths): { ledger: SumsDatabase; threats: SumsDatabase } {
  return {
    ledger: { file: ledger, schema: LEDGER_SCHEMA, format: LEDGER_FORMAT },
    threats: { file: maltrail, schema: THREATS_SCHEMA, format: THREATS_FORMAT },
  };
}
