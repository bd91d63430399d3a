import { Button, CloseButton, Modal, Stack, TextInput } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { notifications } from '@mantine/notifications';
import { useState } from 'react';
import { useAction } from '../../api/action.ts';
import { bulk } from '../../api/bulk.ts';
import type { Schemas } from '../../api/client.ts';
import { ask } from '../../parts/ask.tsx';
import { formatCount } from '../../parts/format.ts';
import classes from './sensors.module.css';

type Deed = Schemas['SensorBulk']['action'];

const DEEDS = {
  approve: { word: 'Approve', done: 'approved', text: undefined },
  kick: { word: 'Kick', done: 'kicked', text: 'Their connections are closed; they may come again at once.' },
  revoke: { word: 'Revoke', done: 'revoked', text: 'Their approval is taken back and their connections are closed.' },
  block: { word: 'Block', done: 'blocked', text: 'Their uuids are blocked and their connections are closed.' },
} as const satisfies Partial<Record<Deed, object>>;

/** What can be done with all chosen sensors. */
export function BulkBar({ uuids, clear }: { uuids: readonly string[]; clear: () => void }) {
  const [tagging, { open, close }] = useDisclosure(false);
  const action = useAction(
    ({ deed, tag }: { deed: Deed; tag?: string }) => bulk(uuids, deed, tag === undefined ? {} : { tag }),
    { stale: ['sensors', 'blocks', 'status', 'overview'] },
  );
  const many = `${formatCount(uuids.length)} ${uuids.length === 1 ? 'sensor' : 'sensors'}`;
  function perform(deed: Deed, word: string, tag?: string): void {
    action.mutate(
      { deed, ...(tag !== undefined && { tag }) },
      {
        onSuccess: ({ done, failed, firstError }) => {
          const message =
            failed === 0
              ? `${formatCount(done)} ${word}`
              : `${formatCount(done)} ${word}, ${formatCount(failed)} not: ${firstError}`;
          notifications.show({
            message,
            color: failed === 0 ? 'teal' : 'orange',
            autoClose: failed === 0 ? 4_000 : 12_000,
          });
          clear();
        },
      },
    );
  }
  return (
    <section className={classes.bulk} aria-label="Chosen sensors">
      <strong style={{ fontSize: 14 }}>{many} chosen</strong>
      {Object.entries(DEEDS).map(([deed, { word, done, text }]) => (
        <Button
          key={deed}
          size="xs"
          variant={deed === 'approve' ? 'filled' : 'default'}
          loading={action.isPending && action.variables.deed === deed}
          onClick={() => {
            const go = () => perform(deed as Deed, done);
            if (text === undefined) go();
            else ask({ title: `${word} ${many}?`, text, confirm: word, onConfirm: go });
          }}
        >
          {word}
        </Button>
      ))}
      <Button size="xs" variant="default" onClick={open}>
        Tag
      </Button>
      <CloseButton aria-label="Choose none" onClick={clear} />
      <Modal opened={tagging} onClose={close} title={`Tag ${many}`} closeButtonProps={{ 'aria-label': 'Close' }}>
        <TagForm
          perform={(deed, tag) => {
            close();
            perform(deed, deed === 'tag' ? `tagged “${tag}”` : `without “${tag}”`, tag);
          }}
        />
      </Modal>
    </section>
  );
}

function TagForm({ perform }: { perform: (deed: 'tag' | 'untag', tag: string) => void }) {
  const [tag, setTag] = useState('');
  const word = tag.trim();
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (word !== '') perform('tag', word);
      }}
    >
      <Stack gap="sm">
        <TextInput
          label="Tag"
          maxLength={64}
          data-autofocus
          value={tag}
          onChange={(event) => setTag(event.currentTarget.value)}
        />
        <div style={{ display: 'flex', gap: 8 }}>
          <Button type="submit" disabled={word === ''}>
            Add the tag
          </Button>
          <Button variant="default" disabled={word === ''} onClick={() => perform('untag', word)}>
            Take it away
          </Button>
        </div>
      </Stack>
    </form>
  );
}
