import { Button, Checkbox, Modal, Stack } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { useAction } from '../../api/action.ts';
import { answered, api, type Schemas } from '../../api/client.ts';
import { ask } from '../../parts/ask.tsx';
import { FormProblem } from '../../parts/form-problem.tsx';
import { Facts, Panel } from '../../parts/page.tsx';
import { Secret } from '../../parts/secret.tsx';
import { Time } from '../../parts/time.tsx';
import { useMay } from '../../session/session.tsx';

type Queue = Schemas['Queue'];

/** The credential with which a consumer from elsewhere opens this queue and no other. */
export function CredentialPanel({ queue }: { queue: Queue }) {
  const { uuid, credential } = queue;
  const may = useMay('user');
  const [issuing, { open, close }] = useDisclosure(false);
  const revoke = useAction(
    () => answered(api.DELETE('/api/v1/queues/{uuid}/credential', { params: { path: { uuid } } })),
    { done: () => 'The credential opens nothing any more', stale: ['queues'] },
  );
  return (
    <Panel
      title="Credential"
      actions={
        may && (
          <div style={{ display: 'flex', gap: 8 }}>
            {credential !== null && (
              <Button
                size="xs"
                variant="default"
                onClick={() =>
                  ask({
                    title: 'Revoke the credential?',
                    text: 'Consumers that use it are disconnected at once, and cannot come again with it.',
                    confirm: 'Revoke',
                    onConfirm: () => revoke.mutate(undefined),
                  })
                }
              >
                Revoke
              </Button>
            )}
            <Button size="xs" variant="default" onClick={open}>
              {credential === null ? 'Issue one' : 'Issue another'}
            </Button>
          </div>
        )
      }
    >
      {credential === null ? (
        <p className="dimmed" style={{ margin: 0, fontSize: 14 }}>
          None: a consumer from elsewhere needs one for AUTH. It opens this queue alone.
        </p>
      ) : (
        <Facts
          facts={[
            ['Issued', <Time key="issued" at={credential.createdAt} />],
            ['It may', credential.push ? 'take items, and put items into the queue' : 'take items'],
          ]}
        />
      )}
      <Modal opened={issuing} onClose={close} title="Issue a credential" closeButtonProps={{ 'aria-label': 'Close' }}>
        <IssueForm queue={queue} close={close} />
      </Modal>
    </Panel>
  );
}

function IssueForm({ queue: { uuid, credential }, close }: { queue: Queue; close: () => void }) {
  const client = useQueryClient();
  const [push, setPush] = useState(false);
  const issue = useMutation({
    mutationFn: () =>
      answered(api.POST('/api/v1/queues/{uuid}/credential', { params: { path: { uuid } }, body: { push } })),
    onSuccess: () => client.invalidateQueries({ queryKey: ['queues'] }),
  });
  if (issue.data !== undefined) {
    return (
      <Stack gap="sm">
        <Secret value={issue.data.secret} what="credential" />
        <Button onClick={close}>I have it</Button>
      </Stack>
    );
  }
  return (
    <Stack gap="sm">
      {credential !== null && (
        <p style={{ margin: 0, fontSize: 14 }}>The present one opens nothing any more as soon as there is another.</p>
      )}
      <Checkbox
        label="It may also put items into the queue"
        checked={push}
        onChange={(event) => setPush(event.currentTarget.checked)}
      />
      <FormProblem error={issue.error} />
      <Button loading={issue.isPending} onClick={() => issue.mutate()}>
        Issue it
      </Button>
    </Stack>
  );
}
