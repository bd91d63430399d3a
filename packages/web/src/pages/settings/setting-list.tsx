import { Switch, Table, TextInput } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { settings } from '../../api/queries.ts';
import { Loaded } from '../../parts/loaded.tsx';
import { Empty, Panel } from '../../parts/page.tsx';

/** Every setting that holds, and where it comes from. */
export function SettingList() {
  const query = useQuery(settings);
  const [text, setText] = useState('');
  const [onlySet, setOnlySet] = useState(false);
  return (
    <Panel
      flush
      title="All settings"
      actions={
        <div style={{ display: 'flex', gap: 14, alignItems: 'center', flexWrap: 'wrap' }}>
          <Switch
            size="xs"
            label="Only what is set"
            checked={onlySet}
            onChange={(event) => setOnlySet(event.currentTarget.checked)}
          />
          <TextInput
            size="xs"
            aria-label="Search settings"
            placeholder="Search"
            value={text}
            onChange={(event) => setText(event.currentTarget.value)}
          />
        </div>
      }
    >
      <Loaded query={query} rows={8}>
        {({ items }) => {
          const wanted = text.trim().toLowerCase();
          const shown = items.filter(
            ({ name, description, source }) =>
              `${name} ${description}`.toLowerCase().includes(wanted) && !(onlySet && source === 'default'),
          );
          if (shown.length === 0) return <Empty title="No setting fits" />;
          return (
            <Table>
              <Table.Thead>
                <Table.Tr>
                  <Table.Th>Setting</Table.Th>
                  <Table.Th>Value</Table.Th>
                  <Table.Th className="from-600">From</Table.Th>
                  <Table.Th className="from-900">What it is</Table.Th>
                </Table.Tr>
              </Table.Thead>
              <Table.Tbody>
                {shown.map(({ name, value, source, description }) => (
                  <Table.Tr key={name}>
                    <Table.Td style={{ overflowWrap: 'anywhere' }}>
                      <span className="mono">{name}</span>
                      <div className="to-900">{description}</div>
                    </Table.Td>
                    <Table.Td className="mono" style={{ overflowWrap: 'anywhere', minWidth: 120 }}>
                      {value === null ? <span className="dimmed">not set</span> : String(value)}
                    </Table.Td>
                    <Table.Td className="from-600 nowrap">
                      {source === 'default' ? <span className="dimmed">default</span> : source}
                    </Table.Td>
                    <Table.Td className="from-900 dimmed">{description}</Table.Td>
                  </Table.Tr>
                ))}
              </Table.Tbody>
            </Table>
          );
        }}
      </Loaded>
    </Panel>
  );
}
