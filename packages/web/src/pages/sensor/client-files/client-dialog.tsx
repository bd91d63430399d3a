import { Button, Modal, Select, Stack, TextInput } from '@mantine/core';
import { IconDownload } from '@tabler/icons-react';
import { useMutation, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { answered, api, type Schemas } from '../../../api/client.ts';
import { certificate, status, types } from '../../../api/queries.ts';
import { CopyButton } from '../../../parts/copy-button.tsx';
import { FormProblem } from '../../../parts/form-problem.tsx';
import { itemBytes } from '../../../parts/hex.ts';
import { Code } from '../../../parts/page.tsx';
import { saveFile } from '../../../parts/save-file.ts';
import { useMay } from '../../../session/session.tsx';
import { type ClientFile, clientFiles } from './client-files.ts';
import { tar } from './tar.ts';

type Sensor = Schemas['Sensor'];

const FOLDER = 'd4-sensor';

/** The configuration directory for the sensor's client: to copy, or as one file. */
export function ClientDialog({ sensor, opened, close }: { sensor: Sensor; opened: boolean; close: () => void }) {
  return (
    <Modal
      opened={opened}
      onClose={close}
      size="lg"
      title="Configuration for the client"
      closeButtonProps={{ 'aria-label': 'Close' }}
    >
      <ClientForm sensor={sensor} />
    </Modal>
  );
}

function ClientForm({ sensor: { uuid, topics } }: { sensor: Sensor }) {
  const admin = useMay('admin');
  const { data: server } = useQuery(status);
  const { data: proof } = useQuery(certificate);
  const { data: accepted } = useQuery(types);
  const [topic, setTopic] = useState(topics[0]?.topic ?? '3');
  const [typed, setDestination] = useState<string>();
  const reveal = useMutation({
    mutationFn: () => answered(api.POST('/api/v1/sensors/{uuid}/key/reveal', { params: { path: { uuid } } })),
  });
  const port = server?.addresses?.listen?.split(':').at(-1) ?? '4443';
  const destination = typed ?? `${location.hostname}:${port}`;
  const key = reveal.data && itemBytes({ data: reveal.data.key, encoding: reveal.data.keyEncoding });
  const files = clientFiles({ uuid, topic, destination: destination.trim(), ca: proof?.authority.pem ?? '', key });

  function download(): void {
    const there = files.flatMap(({ name, content, mode }) =>
      content === undefined ? [] : [{ name: `${FOLDER}/${name}`, content: bytesOf(content), mode }],
    );
    saveFile(`${FOLDER}-${uuid.slice(0, 8)}.tar`, tar(there, Date.now()));
  }

  return (
    <Stack gap="sm">
      <p style={{ margin: 0, fontSize: 14 }}>
        A folder with one value in each file, for the C client, the Go client and <code>d4 client</code> alike.
      </p>
      <Select
        label="Type"
        searchable
        allowDeselect={false}
        data={(accepted?.items ?? []).map(({ name, title }) => ({ value: name, label: `${name} · ${title}` }))}
        value={topic}
        onChange={(value) => setTopic(value ?? topic)}
      />
      <TextInput
        label="Server, as the sensor reaches it"
        classNames={{ input: 'mono' }}
        value={destination}
        onChange={(event) => setDestination(event.currentTarget.value)}
      />
      {files.map((file) => (
        <FileView key={file.name} file={file} />
      ))}
      {key === undefined && admin && (
        <Button variant="default" loading={reveal.isPending} onClick={() => reveal.mutate()}>
          Reveal the key, and record that I did
        </Button>
      )}
      <FormProblem error={reveal.error} />
      <Button leftSection={<IconDownload size={16} />} disabled={proof === undefined} onClick={download}>
        {key === undefined ? 'Download it without the key' : 'Download it with the key'}
      </Button>
      <Code label="Commands" copy={<CopyButton value={commands(uuid)} what="commands" />}>
        {commands(uuid)}
      </Code>
    </Stack>
  );
}

function FileView({ file: { name, content } }: { file: ClientFile }) {
  const text = typeof content === 'string' ? content : content && textOf(content);
  return (
    <div>
      <div className="mono dimmed" style={{ marginBottom: 3 }}>
        {name}
      </div>
      {text === undefined ? (
        <p style={{ margin: 0, fontSize: 13 }}>
          {content === undefined
            ? 'The key that the sensor was registered with; it is not shown here unless somebody reveals it.'
            : 'Bytes that are no text: download them.'}
        </p>
      ) : (
        <Code label={name} copy={<CopyButton value={text} what={name} />}>
          {text}
        </Code>
      )}
    </div>
  );
}

function commands(uuid: string): string {
  return `tar -xf ${FOLDER}-${uuid.slice(0, 8)}.tar\nyour-program | npx d4 client -c ${FOLDER}`;
}

function bytesOf(content: string | Uint8Array): Uint8Array {
  return typeof content === 'string' ? new TextEncoder().encode(content) : content;
}

/** Undefined for bytes that are no text. */
function textOf(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
