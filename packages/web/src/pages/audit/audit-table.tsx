import { Table, UnstyledButton } from '@mantine/core';
import { IconChevronDown, IconChevronRight } from '@tabler/icons-react';
import { Link } from '@tanstack/react-router';
import { Fragment, useState } from 'react';
import type { Schemas } from '../../api/client.ts';
import { Time } from '../../parts/time.tsx';
import { Uuid } from '../../parts/uuid.tsx';
import classes from './audit.module.css';
import { changesBetween } from './changes-between.ts';
import { nameOf } from './name-of.ts';
import { type Names, readableName, readableValue } from './readable.ts';

type AuditRecord = Schemas['AuditEntry'];

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Records, the latest first; each opens to what was before and after. @param names of the sensors and queues in them */
export function AuditTable({ records, names }: { records: readonly AuditRecord[]; names: Names }) {
  const [opened, setOpened] = useState<ReadonlySet<number>>(new Set());
  function toggle(id: number): void {
    const next = new Set(opened);
    if (!next.delete(id)) next.add(id);
    setOpened(next);
  }
  return (
    <Table>
      <Table.Thead>
        <Table.Tr>
          <Table.Th w={36}>
            <span className="only-read">Details</span>
          </Table.Th>
          <Table.Th>When</Table.Th>
          <Table.Th className="from-600">Who</Table.Th>
          <Table.Th className="from-900">From</Table.Th>
          <Table.Th>What</Table.Th>
          <Table.Th className="from-600">Which</Table.Th>
        </Table.Tr>
      </Table.Thead>
      <Table.Tbody>
        {records.map((record) => {
          const { id, time, who, address, action, kind, key } = record;
          const name = nameOf(record, names);
          const open = opened.has(id);
          const Chevron = open ? IconChevronDown : IconChevronRight;
          return (
            <Fragment key={id}>
              <Table.Tr>
                <Table.Td>
                  <UnstyledButton
                    aria-expanded={open}
                    aria-label={`Details of record ${id}`}
                    className={classes.open}
                    onClick={() => toggle(id)}
                  >
                    <Chevron size={15} aria-hidden="true" />
                  </UnstyledButton>
                </Table.Td>
                <Table.Td className={classes.when}>
                  <Time at={time} />
                </Table.Td>
                <Table.Td className={`from-600 ${classes.who}`}>
                  <Link to="/audit" search={{ who }} className="plain">
                    {who}
                  </Link>
                </Table.Td>
                <Table.Td className="from-900 mono">{address}</Table.Td>
                <Table.Td>
                  <Link to="/audit" search={{ kind }} className="plain">
                    {action === 'event' ? kind.replaceAll('-', ' ') : kind.replace(/s$/, '')}
                  </Link>
                  {action !== 'event' && ` ${action}`}
                  <div className="to-600">
                    {who}
                    {key !== who && <>, {name ?? <span className="mono">{key}</span>}</>}
                  </div>
                </Table.Td>
                <Table.Td className="from-600" style={{ overflowWrap: 'anywhere' }}>
                  {name}
                  <Key value={key} below={name !== undefined} />
                </Table.Td>
              </Table.Tr>
              {open && (
                <Table.Tr>
                  <Table.Td />
                  <Table.Td colSpan={5}>
                    <Changes record={record} names={names} />
                  </Table.Td>
                </Table.Tr>
              )}
            </Fragment>
          );
        })}
      </Table.Tbody>
    </Table>
  );
}

/** A document's key; uuids can be copied. @param below the name that it has, where it is short */
function Key({ value, below }: { value: string; below: boolean }) {
  const text = UUID.test(value) ? <Uuid value={value} whole={!below} /> : <span className="mono">{value}</span>;
  return below ? <div className="dimmed">{text}</div> : text;
}

function Changes({ record, names }: { record: AuditRecord; names: Names }) {
  const changes = changesBetween(record.before, record.after);
  const name = nameOf(record, names);
  return (
    <dl
      style={{
        display: 'grid',
        gridTemplateColumns: 'max-content minmax(0, 1fr)',
        gap: '4px 16px',
        margin: 0,
        fontSize: 13,
      }}
    >
      <dt className="dimmed">which</dt>
      <dd className="mono" style={{ margin: 0, overflowWrap: 'anywhere' }}>
        {name !== undefined && `${name} `}
        <Key value={record.key} below={false} />
      </dd>
      {changes.length === 0 && (
        <dd style={{ gridColumn: '1 / -1', margin: 0 }} className="dimmed">
          Nothing more is recorded.
        </dd>
      )}
      {changes.map(({ name, before, after }) => (
        <Fragment key={name}>
          <dt className="dimmed" title={name}>
            {readableName(name)}
          </dt>
          <dd className="mono" style={{ margin: 0, overflowWrap: 'anywhere' }}>
            {before !== undefined && (
              <del style={{ color: 'var(--d4-bad)' }} title={JSON.stringify(before)}>
                {readableValue(name, before, names)}
              </del>
            )}
            {before !== undefined && after !== undefined && ' '}
            {after !== undefined && (
              <ins style={{ color: 'var(--d4-good)', textDecoration: 'none' }} title={JSON.stringify(after)}>
                {readableValue(name, after, names)}
              </ins>
            )}
          </dd>
        </Fragment>
      ))}
    </dl>
  );
}
