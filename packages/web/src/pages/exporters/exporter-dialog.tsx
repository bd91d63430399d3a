import { Modal, PasswordInput, Select, Stack, Switch, Textarea, TextInput } from '@mantine/core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { answered, api, ifMatch, type Schemas } from '../../api/client.ts';
import { types } from '../../api/queries.ts';
import { Editing, FormEnd } from '../../parts/form-problem.tsx';
import { sensorsIn } from '../queues/sensors-in.ts';
import {
  headersIn,
  KIND_NAMES,
  missingIn,
  TARGET_FIELDS,
  type TargetField,
  type TargetKind,
  type TargetValues,
  targetOf,
  valuesOf,
} from './target-fields.ts';

type Exporter = Schemas['Exporter'];

const KINDS = Object.entries(KIND_NAMES).map(([value, label]) => ({ value, label }));
const NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;
const STARTS = [
  { value: 'now', label: 'with what comes from now on' },
  { value: '3600', label: 'an hour ago' },
  { value: '86400', label: 'a day ago, as far as it is kept' },
  { value: 'all', label: 'with the oldest that is kept' },
];

/** Makes an exporter, or changes one. @param exporter which one; a new one if not given */
export function ExporterDialog({
  exporter,
  opened,
  close,
}: {
  exporter?: Exporter | undefined;
  opened: boolean;
  close: () => void;
}) {
  return (
    <Modal
      opened={opened}
      onClose={close}
      title={exporter === undefined ? 'New exporter' : `Edit ${exporter.name}`}
      closeButtonProps={{ 'aria-label': 'Close' }}
    >
      <Editing value={exporter}>{(before) => <ExporterForm exporter={before} close={close} />}</Editing>
    </Modal>
  );
}

function ExporterForm({ exporter, close }: { exporter: Exporter | undefined; close: () => void }) {
  const client = useQueryClient();
  const accepted = useQuery(types);
  const [general, setGeneral] = useState({
    name: exporter?.name ?? '',
    type: exporter?.topic ?? '',
    description: exporter?.description ?? '',
    sensors: exporter?.sensors?.join('\n') ?? '',
    start: 'now',
    headers: '',
    key: '',
  });
  const [kind, setKind] = useState<TargetKind>(exporter?.target.kind ?? 'udp');
  const [values, setValues] = useState<TargetValues>(exporter === undefined ? {} : valuesOf(exporter.target));
  const [wrong, setWrong] = useState<Readonly<Record<string, string>>>({});
  const set = (change: Partial<typeof general>) => setGeneral({ ...general, ...change });
  const isNew = exporter === undefined;

  const save = useMutation({
    mutationFn: () => {
      const { name, type, start, key } = general;
      const description = general.description.trim();
      const sensors = sensorsIn(general.sensors);
      const headers = headersIn(general.headers) ?? {};
      const secrets = { ...(Object.keys(headers).length > 0 && { headers }), ...(key !== '' && { key }) };
      const target = targetOf(kind, values);
      const rest = { description, target, ...(Object.keys(secrets).length > 0 && { secrets }) };
      if (exporter !== undefined) {
        return answered(
          api.PATCH('/api/v1/exporters/{name}', {
            params: { path: { name }, header: ifMatch(exporter.revision) },
            body: { ...rest, sensors: sensors.length > 0 ? sensors : null },
          }),
        );
      }
      const from = start === 'all' ? 0 : Date.now() - Number(start) * 1_000;
      return answered(
        api.POST('/api/v1/exporters', {
          body: { ...rest, name, type, ...(sensors.length > 0 && { sensors }), ...(start !== 'now' && { from }) },
        }),
      );
    },
    onSuccess: close,
    onSettled: () => client.invalidateQueries({ queryKey: ['exporters'] }),
  });

  function submit(event: FormEvent): void {
    event.preventDefault();
    const found = {
      ...missingIn(kind, values),
      ...(!NAME.test(general.name) && { 'general.name': 'Letters, digits, “_” and “-”, 64 at the most' }),
      ...(general.type === '' && { 'general.type': 'Choose a type' }),
      ...(headersIn(general.headers) === undefined && { 'general.headers': 'Each line: Name: value' }),
    };
    setWrong(found);
    if (Object.keys(found).length === 0) save.mutate();
  }

  return (
    <form onSubmit={submit} noValidate>
      <Stack gap="sm">
        <TextInput
          label="Name"
          description={isNew ? 'It cannot be changed later' : undefined}
          data-autofocus={isNew || undefined}
          readOnly={!isNew}
          value={general.name}
          error={wrong['general.name']}
          onChange={(event) => set({ name: event.currentTarget.value })}
        />
        {isNew && (
          <Select
            label="Type"
            searchable
            data={(accepted.data?.items ?? []).map(({ name, title }) => ({ value: name, label: `${name} · ${title}` }))}
            value={general.type === '' ? null : general.type}
            error={wrong['general.type']}
            onChange={(type) => set({ type: type ?? '' })}
          />
        )}
        <TextInput
          label="Description"
          value={general.description}
          onChange={(event) => set({ description: event.currentTarget.value })}
        />
        <Select
          label="To"
          allowDeselect={false}
          data={KINDS}
          value={kind}
          onChange={(value) => {
            setKind((value ?? 'udp') as TargetKind);
            setWrong({});
          }}
        />
        {TARGET_FIELDS[kind].map((field) => (
          <TargetInput
            key={field.name}
            field={field}
            value={values[field.name]}
            error={wrong[field.name]}
            change={(value) => setValues({ ...values, [field.name]: value })}
          />
        ))}
        {kind === 'http' && (
          <Textarea
            label="Headers"
            description={
              exporter !== undefined && exporter.headers.length > 0
                ? `It sends ${exporter.headers.join(', ')}; those stay unless you enter others`
                : 'Name: value, one a line. They are kept encrypted and not shown again'
            }
            autosize
            classNames={{ input: 'mono' }}
            value={general.headers}
            error={wrong['general.headers']}
            onChange={(event) => set({ headers: event.currentTarget.value })}
          />
        )}
        {kind === 'd4' && (
          <PasswordInput
            label="Key of that sensor"
            description={isNew ? 'Kept encrypted and not shown again' : 'The present one stays if this is empty'}
            autoComplete="off"
            visibilityToggleButtonProps={{ 'aria-label': 'Show the key' }}
            value={general.key}
            onChange={(event) => set({ key: event.currentTarget.value })}
          />
        )}
        <Textarea
          label="Only these sensors"
          description="Uuids, one a line; all sensors if there are none"
          autosize
          maxRows={6}
          classNames={{ input: 'mono' }}
          value={general.sensors}
          onChange={(event) => set({ sensors: event.currentTarget.value })}
        />
        {isNew && (
          <Select
            label="Starts"
            allowDeselect={false}
            data={STARTS}
            value={general.start}
            onChange={(start) => set({ start: start ?? 'now' })}
          />
        )}
        <FormEnd change={save}>{isNew ? 'Make and start it' : 'Save'}</FormEnd>
      </Stack>
    </form>
  );
}

function TargetInput({
  field: { label, input, description, choices = [], otherwise = false },
  value,
  error,
  change,
}: {
  field: TargetField;
  value: string | boolean | undefined;
  error: string | undefined;
  change: (value: string | boolean) => void;
}) {
  if (input === 'switch') {
    return (
      <Switch
        label={label}
        checked={value === undefined ? otherwise : value === true}
        onChange={(event) => change(event.currentTarget.checked)}
      />
    );
  }
  if (input === 'choice') {
    return (
      <Select
        label={label}
        placeholder="as usual"
        clearable
        data={[...choices]}
        value={typeof value === 'string' && value !== '' ? value : null}
        onChange={(chosen) => change(chosen ?? '')}
      />
    );
  }
  return (
    <TextInput
      label={label}
      description={description}
      inputMode={input === 'number' ? 'numeric' : 'text'}
      value={typeof value === 'string' ? value : ''}
      error={error}
      onChange={(event) => change(event.currentTarget.value)}
    />
  );
}
