import { boundariesOf } from '../record-boundaries.ts';
import { sizeText } from '../size.ts';
import { openSource } from '../sources/open-source.ts';
import type { Source } from '../sources/source.ts';
import { Backlog } from '../spool/backlog.ts';
import type { Delivery } from './ack-transmitter.ts';
import type { DeliveryResult, DeliveryRun } from './deliver.ts';
import { Intake, type Reading } from './intake.ts';

/** Delivers a source that cannot be read again (standard input, another server's queue): one stream for each start. */
export async function deliverPipe(run: DeliveryRun): Promise<DeliveryResult> {
  const { config, options, environment, report } = run.setup;
  const source = openSource(config.source, options, environment, (text) => report.sourceTrouble(text));
  const memoryBytes = Math.min(environment.bufferBytes, source.readAheadBytes ?? Number.POSITIVE_INFINITY);
  const backlog = Backlog.begin(
    run.newIdentity(source.name, run.newestLeft),
    boundariesOf(config.type),
    run.backlogOptions(memoryBytes, source.readAheadBytes !== undefined),
    run.spool,
  );
  report.details(() => detailsText(run, backlog));
  const stopReading = new AbortController();
  const intake = new Intake(source, backlog, stopReading);
  let farewell: NodeJS.Timeout | undefined;
  let isLive = false;
  run.follow(backlog, () => isLive);
  const onStop = () => {
    stopReading.abort();
    if (isLive && run.transmitter.connected) farewell = setTimeout(() => run.giveUp(), environment.farewellMs);
    else run.giveUp();
  };
  environment.signal.addEventListener('abort', onStop, { once: true });
  if (environment.signal.aborted) onStop();
  try {
    const first = await run.connect();
    if (first?.kind === 'plain') {
      const onEmpty = async () => {
        await backlog.remove();
        run.letGoOfSpool();
      };
      report.details(() => '');
      return { kind: 'plain', source: intake.handOver(onEmpty), open: first.open };
    }
    let outcome: Delivery;
    if (first === undefined) outcome = 'rejected';
    else if (first.kind !== 'acknowledged') outcome = first.kind;
    else {
      const { stopped, open } = await run.drain(first.open);
      isLive = true;
      outcome = stopped ?? (await run.transmitter.deliver(backlog, false, open?.socket));
    }
    stopReading.abort();
    return { kind: 'exit', code: await finish(run, source, backlog, outcome, intake) };
  } finally {
    clearTimeout(farewell);
    environment.signal.removeEventListener('abort', onStop);
  }
}

/** Keeps or clears what there is. @returns the exit code */
async function finish(
  run: DeliveryRun,
  source: Source,
  backlog: Backlog,
  outcome: Delivery,
  intake: Intake,
): Promise<number> {
  const { report, environment } = run.setup;
  if (outcome === 'ended') {
    await backlog.remove();
    return endedCode(await intake.ended, source, run);
  }
  // What waits for room waits for ever now.
  backlog.stopWaiting();
  const reading = await intake.ended;
  sayProblem(reading, source, run);
  const waiting = backlog.unacknowledged;
  const notKept = await backlog.close();
  const why = environment.signal.aborted ? 'stopped' : 'gave up';
  const rest = source.endless || reading.complete ? '' : `what ${source.name} still had`;
  const kept = waiting - notKept;
  const parts = [
    waiting > 0 ? `${waiting} bytes that were read have not been delivered${rest === '' ? '' : `, and ${rest}`}` : '',
    waiting === 0 && rest !== '' ? `${rest} was not read` : '',
    kept > 0 ? `${kept} bytes wait in ${run.spool?.path} for the next start` : '',
    notKept > 0 ? `${notKept} bytes could not be kept and are lost` : '',
    waiting === 0 ? 'everything that was read is acknowledged, but not the end of the stream' : '',
  ];
  report.say(`${why}: ${parts.filter((part) => part !== '').join('; ')}`);
  return 1;
}

function endedCode(reading: Reading, source: Source, run: DeliveryRun): number {
  const { report, environment } = run.setup;
  sayProblem(reading, source, run);
  if (reading.problem !== undefined) return 1;
  if (reading.complete || (source.endless && environment.signal.aborted)) return 0;
  report.say(`stopped: everything that was read is acknowledged; what ${source.name} still had was not read`);
  return 1;
}

function sayProblem({ problem }: Reading, source: Source, run: DeliveryRun): void {
  if (problem !== undefined) run.setup.report.say(`${source.name} cannot be read: ${problem}`);
}

function detailsText(run: DeliveryRun, backlog: Backlog): string {
  const spooled = run.spool?.space.used ?? 0;
  const parts = [
    `acknowledged to ${backlog.acknowledged}`,
    `${backlog.unacknowledged} bytes not yet`,
    `spool ${sizeText(spooled)}`,
    `${backlog.gaps} gaps`,
    ...(backlog.dropped > 0 ? [`${backlog.dropped} bytes dropped`] : []),
    `${run.transmitter.reconnects} reconnects`,
  ];
  return `; ${parts.join(', ')}`;
}
