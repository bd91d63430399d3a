import { CloseButton, NativeSelect, TextInput } from '@mantine/core';
import { useDebouncedCallback } from '@mantine/hooks';
import { IconSearch } from '@tabler/icons-react';
import { useEffect, useRef, useState } from 'react';
import type { Schemas } from '../../api/client.ts';
import { shortUuid } from '../../parts/format.ts';
import { SENSOR_STATES, STATE_LOOKS } from '../../parts/sensor-states.ts';
import type { SensorsSearch } from './search.ts';
import classes from './sensors.module.css';

/** Search and filters; what they say is in the address. */
export function Filters({
  search,
  change,
  facets,
}: {
  search: SensorsSearch;
  change: (next: Partial<SensorsSearch>) => void;
  facets: Schemas['SensorFacets'] | undefined;
}) {
  const states = SENSOR_STATES.map((value) => ({
    value,
    sensors: facets?.byState[value] ?? 0,
    word: STATE_LOOKS[value].word,
  }));
  const groups = facets?.groups.map(({ value, topic, description, sensors }) => ({
    value,
    sensors,
    word: description || `queue ${shortUuid(value)} of type ${topic}`,
  }));
  return (
    <search className={classes.filters}>
      <Search text={search.text ?? ''} focus={search.focus === true} apply={(text) => change({ text })} />
      <Pick
        name="state"
        options={states}
        value={search.state}
        pick={(state) => change({ state: state as SensorsSearch['state'] })}
      />
      <Pick name="type" options={facets?.types} value={search.type} pick={(type) => change({ type })} />
      <Pick name="tag" options={facets?.tags} value={search.tag} pick={(tag) => change({ tag })} />
      <Pick name="owner" options={facets?.mails} value={search.mail} pick={(mail) => change({ mail })} />
      <Pick name="group" options={groups} value={search.group} pick={(group) => change({ group })} />
    </search>
  );
}

function Search({ text, focus, apply }: { text: string; focus: boolean; apply: (text: string | undefined) => void }) {
  const input = useRef<HTMLInputElement>(null);
  const [typed, setTyped] = useState(text);
  const later = useDebouncedCallback((value: string) => apply(value.trim() === '' ? undefined : value.trim()), 200);
  useEffect(() => {
    if (focus) input.current?.focus();
  }, [focus]);
  // The address can change without this field: by a link, by "Show all", by going back.
  useEffect(() => setTyped((before) => (before.trim() === text ? before : text)), [text]);
  return (
    <TextInput
      ref={input}
      data-page-search
      className={classes.text}
      aria-label="Search sensors"
      placeholder="Name, uuid, address, mail…   ( / )"
      leftSection={<IconSearch size={16} />}
      rightSection={
        typed !== '' && (
          <CloseButton
            size="sm"
            aria-label="Clear the search"
            onClick={() => {
              setTyped('');
              apply(undefined);
            }}
          />
        )
      }
      value={typed}
      onChange={(event) => {
        setTyped(event.currentTarget.value);
        later(event.currentTarget.value);
      }}
    />
  );
}

function Pick({
  name,
  options = [],
  value,
  pick,
}: {
  name: string;
  options: readonly { value: string; sensors: number; word?: string }[] | undefined;
  value: string | undefined;
  pick: (value: string | undefined) => void;
}) {
  // Nothing to choose from, and nothing chosen that somebody would want to get rid of.
  if (options.length === 0 && value === undefined) return null;
  const known =
    options.some((option) => option.value === value) || value === undefined
      ? options
      : [...options, { value, sensors: 0 }];
  return (
    <NativeSelect
      aria-label={`${name.charAt(0).toUpperCase()}${name.slice(1)}`}
      className={classes.pick}
      data-any={value === undefined || undefined}
      value={value ?? ''}
      onChange={({ currentTarget }) => pick(currentTarget.value === '' ? undefined : currentTarget.value)}
    >
      <option value="">Any {name}</option>
      {known.map((option) => (
        <option key={option.value} value={option.value}>
          {`${option.word ?? option.value} (${option.sensors})`}
        </option>
      ))}
    </NativeSelect>
  );
}
