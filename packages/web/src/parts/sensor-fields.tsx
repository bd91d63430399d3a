import { Checkbox, Select, TextInput } from '@mantine/core';
import type { UseFormReturnType } from '@mantine/form';
import { type QueryClient, useQuery } from '@tanstack/react-query';
import type { Schemas } from '../api/client.ts';
import { status, types } from '../api/queries.ts';

/** What is known of a sensor that is to be added. */
export interface SensorValues {
  name: string;
  type: string;
  /** HOST:PORT; empty for what is shown as a suggestion. */
  server: string;
  mail: string;
  approve: boolean;
}

/** Types that say nothing of themselves: the meta type is chosen. */
const DECLARING = ['2', '254'];

/** The address by which this browser reaches the server, with the sensors' port. */
function addressWith(port: string): string {
  return `${location.hostname}:${port}`;
}

function portOf({ addresses }: Schemas['Status']): string {
  return addresses?.listen?.split(':').at(-1) ?? '4443';
}

/** What was typed in, or what is suggested. */
export async function serverOr(typed: string, queries: QueryClient): Promise<string> {
  return typed.trim() || addressWith(portOf(await queries.ensureQueryData(status)));
}

/** What a sensor is to send: the types that are accepted. */
export function TypeField<V extends Pick<SensorValues, 'type'>>({ form }: { form: UseFormReturnType<V> }) {
  const { data: accepted } = useQuery(types);
  const choices = (accepted?.items ?? []).filter(({ name }) => !DECLARING.includes(name));
  return (
    <Select
      label="What it will send"
      searchable
      allowDeselect={false}
      data={choices.map(({ name, title }) => ({ value: name, label: `${name} · ${title}` }))}
      key={form.key('type')}
      {...form.getInputProps('type')}
    />
  );
}

/** Where it is to send to. */
export function ServerField<V extends Pick<SensorValues, 'server'>>({ form }: { form: UseFormReturnType<V> }) {
  const { data } = useQuery(status);
  return (
    <TextInput
      label="Server, as the sensor reaches it"
      description="A name or address of the certificate, and the sensors' port"
      placeholder={data && addressWith(portOf(data))}
      classNames={{ input: 'mono' }}
      key={form.key('server')}
      {...form.getInputProps('server')}
    />
  );
}

/** The fields that both ways of adding a sensor have. */
export function SensorFields<V extends SensorValues>({ form }: { form: UseFormReturnType<V> }) {
  return (
    <>
      <TextInput label="Name" placeholder="Roof north" key={form.key('name')} {...form.getInputProps('name')} />
      <TypeField form={form} />
      <ServerField form={form} />
      <TextInput label="Owner's mail" type="email" key={form.key('mail')} {...form.getInputProps('mail')} />
      <Checkbox
        label="It may send at once"
        description="Else it waits here until somebody approves it"
        key={form.key('approve')}
        {...form.getInputProps('approve', { type: 'checkbox' })}
      />
    </>
  );
}
