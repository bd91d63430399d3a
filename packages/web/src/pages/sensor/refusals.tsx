import type { Schemas } from '../../api/client.ts';
import { Occurrences } from '../../parts/occurrences.tsx';
import { Panel } from '../../parts/page.tsx';
import { refusalMeaning } from '../../parts/refusal-meanings.ts';

type Sensor = Schemas['Sensor'];

/** Why it was refused, where that is certain. */
export function Refusals({ sensor: { refusals } }: { sensor: Sensor }) {
  if (refusals.length === 0) return null;
  return (
    <Panel flush title="Refusals">
      <RefusalTable rows={refusals.map((refusal) => ({ ...refusal, address: refusal.lastAddress }))} />
    </Panel>
  );
}

/** What was refused in its name, by whom is not known. */
export function Claimed({ sensor: { claimedRefusals } }: { sensor: Sensor }) {
  if (claimedRefusals.length === 0) return null;
  return (
    <Panel flush title="Claimed to be this sensor, unproved">
      <p className="dimmed" style={{ margin: '10px 16px 2px', fontSize: 13 }}>
        Anybody can send this uuid. These were refused before a key proved anything; they say nothing certain about the
        sensor.
      </p>
      <RefusalTable rows={claimedRefusals} />
    </Panel>
  );
}

interface Row {
  readonly code: string;
  readonly count: number;
  readonly lastAt: number;
  readonly address: string;
}

function RefusalTable({ rows }: { rows: readonly Row[] }) {
  const occurrences = rows.map(({ code, ...row }) => ({
    ...row,
    key: `${code} ${row.address}`,
    what: (
      <>
        {refusalMeaning(code)} <code className="dimmed">{code}</code>
      </>
    ),
  }));
  return <Occurrences what="Reason" rows={occurrences} />;
}
