import { Select } from '@mantine/core';
import type { UseFormReturnType } from '@mantine/form';
import { answered, type Schemas } from '../api/client.ts';
import { saveFile } from './save-file.ts';

export type ClientKind = Schemas['ConfigurationDraft']['client'];

const CLIENTS: readonly { value: ClientKind; label: string }[] = [
  { value: 'd4', label: 'd4 client' },
  { value: 'go', label: 'The Go client' },
  { value: 'c', label: 'The C client, with socat' },
];

/** Which client a configuration is for. */
export function ClientField<V extends { client: ClientKind }>({ form }: { form: UseFormReturnType<V> }) {
  return (
    <Select
      label="Client"
      allowDeselect={false}
      data={CLIENTS}
      key={form.key('client')}
      {...form.getInputProps('client')}
    />
  );
}

/** Saves a configuration that the server answers with. @returns its file's name, and whose it is */
export async function saveConfiguration(
  asked: Promise<{ data?: Blob; error?: unknown; response: Response }>,
): Promise<{ file: string; uuid: string }> {
  const archive = await answered(asked);
  const { headers } = (await asked).response;
  const [, file = 'd4-sensor.tar.gz'] = /filename="([^"]+)"/.exec(headers.get('content-disposition') ?? '') ?? [];
  saveFile(file, archive);
  return { file, uuid: headers.get('content-location')?.split('/').at(-1) ?? '' };
}

/** The commands with which it is unpacked and read. */
export function unpacking(file: string): string {
  return `tar -xzf ${file}\ncat ${file.replace('.tar.gz', '')}/README`;
}
