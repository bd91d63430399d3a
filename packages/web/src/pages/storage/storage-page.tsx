import { Alert, Button, Table } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useAction } from '../../api/action.ts';
import { answered, api, type Schemas } from '../../api/client.ts';
import { retention } from '../../api/queries.ts';
import { Bytes } from '../../parts/bytes.tsx';
import { formatBytes, formatCount, formatFull, formatShort, formatSpan } from '../../parts/format.ts';
import { Loaded, sentence } from '../../parts/loaded.tsx';
import { Facts, Page, Panel } from '../../parts/page.tsx';
import { Time } from '../../parts/time.tsx';
import { Tone } from '../../parts/tone.tsx';
import { Uuid } from '../../parts/uuid.tsx';
import { useMay } from '../../session/session.tsx';
import { HeldArchive, HeldJournal } from './held.tsx';
import { RemovalPlan } from './removal-plan.tsx';
import classes from './storage.module.css';

type Retention = Schemas['Retention'];

/** What is kept, what goes, and how much space is left. */
export function StoragePage() {
  const query = useQuery(retention);
  return (
    <Page title="Storage" about="What is kept and for how long, what it takes, and when a disk will be full">
      <Loaded query={query} rows={10}>
        {(data) => (
          <div className={classes.stack}>
            <Notices data={data} />
            <div className={classes.pair}>
              <Disks data={data} />
              <Policy policy={data.policy} />
            </div>
            <HeldArchive files={data.archive} />
            <HeldJournal topics={data.journal} />
            <RemovalPlan />
            {data.erasures.length > 0 && <Erasures erasures={data.erasures} />}
          </div>
        )}
      </Loaded>
    </Page>
  );
}

function Notices({ data: { state, reason, since, ageRulesPaused, error } }: { data: Retention }) {
  const admin = useMay('admin');
  const accept = useAction(() => answered(api.POST('/api/v1/retention/accept-clock')), {
    done: ({ changed }) => (changed ? 'The clock is right: age rules work again' : 'The age rules were not paused'),
    stale: ['retention'],
  });
  return (
    <>
      {state !== 'ok' && (
        <Alert color="red" variant="light" role="alert">
          {sentence(reason ?? state)} <Time at={since} ago />
        </Alert>
      )}
      {ageRulesPaused !== null && (
        <Alert color="yellow" variant="light" role="alert">
          {sentence(`age rules do not work: ${ageRulesPaused}`)}{' '}
          {admin && (
            <Button size="compact-xs" variant="default" ml={8} onClick={() => accept.mutate(undefined)}>
              The clock is right
            </Button>
          )}
        </Alert>
      )}
      {error !== null && (
        <Alert color="red" variant="light" role="alert">
          {sentence(`the last run failed and is done again: ${error}`)}
        </Alert>
      )}
    </>
  );
}

function Disks({ data: { disks, forecast, lastRemoval, lastRunAt } }: { data: Retention }) {
  return (
    <Panel title="Disks">
      <div className={classes.stack}>
        {disks.map(({ path, holds, state, bytes, freeBytes, reserveBytes, freeInodes }) => (
          <div key={path}>
            <div className={classes.diskHead}>
              <span className="mono">{path}</span>
              <Tone tone={state === 'ok' ? 'good' : 'bad'}>{state}</Tone>
            </div>
            <div className={classes.meter} aria-hidden="true">
              <i data-full={state !== 'ok' || undefined} style={{ width: `${(1 - freeBytes / bytes) * 100}%` }} />
              <b style={{ left: `${Math.max(0, 1 - reserveBytes / bytes) * 100}%` }} />
            </div>
            <p className="dimmed" style={{ margin: '4px 0 0', fontSize: 13 }}>
              {holds.join(' and ')} · {formatBytes(freeBytes)} free of {formatBytes(bytes)} ·{' '}
              {formatBytes(reserveBytes)} in reserve, never used for data
              {freeInodes !== null && ` · room for ${formatShort(freeInodes)} more files`}
            </p>
          </div>
        ))}
        <Facts
          facts={[
            ['Forecast', forecastText(forecast)],
            [
              'Removed last',
              lastRemoval === null ? (
                'nothing yet'
              ) : (
                <span key="removed">
                  <Bytes value={lastRemoval.bytes} /> of type <span className="mono">{lastRemoval.topic}</span> in the{' '}
                  {lastRemoval.store} ({lastRemoval.why}), <Time at={lastRemoval.at} ago />
                </span>
              ),
            ],
            ['Looked through', <Time key="run" at={lastRunAt} ago never="not yet" />],
          ]}
        />
      </div>
    </Panel>
  );
}

function forecastText({ outcome, days, disk }: Retention['forecast']): string {
  if (outcome === 'never') return 'not filling up: the limits hold, or nothing grows';
  if (outcome === 'unknown' || days === null) return 'not known yet';
  return `${disk ?? 'the disk'}: ${formatFull(days)}`;
}

function Policy({ policy }: { policy: Retention['policy'] }) {
  const age = (ms: number | null) => (ms === null ? undefined : formatSpan(ms));
  const size = (bytes: number | null) => (bytes === null ? undefined : formatBytes(bytes));
  const both = (...parts: (string | undefined)[]) =>
    parts.filter((part) => part !== undefined).join(', at most ') || 'no limit';
  return (
    <Panel title="Policy">
      <Facts
        facts={[
          ['To rewind', both(age(policy.rewindAgeMs), size(policy.rewindBytes))],
          ['Held for queues', both(age(policy.queueAgeMs), size(policy.queueBytes))],
          ['Journal, each type', both(size(policy.journalTypeBytes))],
          ['Journal, in all', both(size(policy.journalBytes))],
          ['Files are kept', both(age(policy.archiveAgeMs))],
          ['Archive, each sensor', both(size(policy.archiveSensorBytes))],
          ['Archive, each type', both(size(policy.archiveTypeBytes))],
          ['Archive, in all', both(size(policy.archiveBytes))],
        ]}
      />
      <p className="dimmed" style={{ margin: '10px 0 0', fontSize: 13 }}>
        It is set in d4.yaml under <code>retention</code>; sensors and types can have rules of their own.
      </p>
    </Panel>
  );
}

function Erasures({ erasures }: { erasures: Retention['erasures'] }) {
  return (
    <Panel flush title="Erased on request">
      <Table>
        <Table.Thead>
          <Table.Tr>
            <Table.Th>Sensor</Table.Th>
            <Table.Th className="from-600">By</Table.Th>
            <Table.Th>State</Table.Th>
            <Table.Th className="end">Files</Table.Th>
            <Table.Th className="from-600 end">In the journal</Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {erasures.map(({ sensor, by, requestedAt, doneAt, waitsFor, files, fileBytes, journalBytes }) => (
            <Table.Tr key={`${sensor} ${requestedAt}`}>
              <Table.Td>
                <Uuid value={sensor} />
              </Table.Td>
              <Table.Td className="from-600">{by}</Table.Td>
              <Table.Td>
                {doneAt === null ? (
                  <Tone tone="warn">{waitsFor === null ? 'going on' : `waits for ${waitsFor}`}</Tone>
                ) : (
                  <>
                    done <Time at={doneAt} ago />
                  </>
                )}
              </Table.Td>
              <Table.Td className="end">
                {formatCount(files)}, <Bytes value={fileBytes} />
              </Table.Td>
              <Table.Td className="from-600 end">
                <Bytes value={journalBytes} />
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Panel>
  );
}
