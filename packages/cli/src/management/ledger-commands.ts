import { D4Error, type SensorId } from '@d4ts/protocol';
import type { SensorLedger, ServerLedger } from '@d4ts/server';
import { type Command, Option } from 'commander';
import { timeArgument, uuidArgument } from './arguments.ts';
import { balanceText, ledgerText } from './ledger-text.ts';
import { managementCommand } from './management-command.ts';

interface LedgerOptions {
  readonly from?: number;
  readonly to?: number;
  readonly by: 'hour' | 'day';
  readonly type?: string;
  readonly check?: boolean;
}

/** Adds `d4 ledger`. */
export function registerLedgerCommand(program: Command): void {
  const time = (text: string) => timeArgument(text, Date.now());
  managementCommand<[SensorId | undefined], LedgerOptions>(
    program
      .command('ledger')
      .description('what came, by hour and type, and what became of it')
      .argument('[UUID]', 'of this sensor (default: of all together)', uuidArgument)
      .option('--from <TIME>', 'hours or days from then on: 2026-10-01T08:30Z, 24h, 7d (default: 24h, days 30d)', time)
      .option('--to <TIME>', 'hours or days before that time (default: now)', time)
      .addOption(new Option('--by <PERIOD>', 'what a line is').choices(['hour', 'day']).default('hour'))
      .option('--type <TYPE>', "what is of this type: its number, or the meta type's name")
      .option('--check', 'say whether all of it balances, since the ledger began; exit 1 if not'),
    async ({ api, show }, { from, to, by, type, check = false }, uuid) => {
      const query = new URLSearchParams({ by });
      for (const [name, value] of Object.entries({ from, to, topic: type })) {
        if (value !== undefined) query.set(name, `${value}`);
      }
      const path = uuid === undefined ? '/ledger' : `/sensors/${uuid}/ledger`;
      const ledger = await api.get<SensorLedger | ServerLedger>(`${path}?${query}`);
      await show(ledger, () => (check ? balanceText(ledger) : ledgerText(ledger)));
      if (check && !ledger.balances) {
        throw new D4Error('D4_LEDGER_UNBALANCED', 'the ledger does not balance: docs/ledger.md says what to do');
      }
    },
  );
}
