import { Select, type SelectProps } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import type { Schemas } from '../api/client.ts';
import { sensorsLike } from '../api/queries.ts';

/** Somebody types on for less than this, ms. */
const TYPED_MS = 200;
const UUID = /^[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}$/i;

/** Chooses one sensor: by what is typed of its name, uuid, tags or owner; or by the uuid of one that is gone. */
export function SensorSearch({
  uuid,
  onChange,
  ...rest
}: { uuid: string | undefined; onChange: (uuid: string | undefined) => void } & Omit<SelectProps, 'onChange'>) {
  const [typed, setTyped] = useState('');
  const text = typed.trim();
  const [asked] = useDebouncedValue(text, TYPED_MS);
  const chosen = useQuery({ ...sensorsLike(uuid ?? ''), enabled: uuid !== undefined });
  const chosenLabel = uuid === undefined ? '' : labelOf(uuid, chosen.data?.items);
  // What is chosen stands in the field; it is not a question.
  const question = asked === chosenLabel ? '' : asked;
  const found = useQuery(sensorsLike(question));
  const items = found.data?.items ?? [];
  const options = items.map((each) => ({ value: each.uuid, label: labelOf(each.uuid, items) }));
  const typedUuid = UUID.test(question) ? question.toLowerCase() : undefined;
  if (typedUuid !== undefined && options.length === 0) options.push({ value: typedUuid, label: typedUuid });
  const shown = new Set(options.map(({ value }) => value));
  // Its label is needed also where it is not among what was found.
  if (uuid !== undefined && !shown.has(uuid)) options.push({ value: uuid, label: chosenLabel });
  return (
    <Select
      placeholder="Any sensor"
      aria-label="Sensor"
      searchable
      clearable
      clearButtonProps={{ 'aria-label': 'Any sensor' }}
      nothingFoundMessage={found.isFetching ? 'Searching …' : 'No sensor is like that'}
      {...rest}
      value={uuid ?? null}
      onChange={(value) => onChange(value ?? undefined)}
      onSearchChange={setTyped}
      filter={({ options: all }) => all.filter((each) => 'value' in each && shown.has(each.value))}
      data={options}
    />
  );
}

function labelOf(uuid: string, sensors: readonly Schemas['Sensor'][] | undefined): string {
  const name = sensors?.find((each) => each.uuid === uuid)?.name;
  return name ? `${name} · ${uuid}` : uuid;
}
