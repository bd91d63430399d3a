import { Button, Checkbox, Modal, Stack, Textarea } from '@mantine/core';
import { useForm } from '@mantine/form';
import { useDisclosure } from '@mantine/hooks';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useAction } from '../../api/action.ts';
import { answered, api, type Schemas } from '../../api/client.ts';
import { certificate } from '../../api/queries.ts';
import { ask } from '../../parts/ask.tsx';
import { CopyButton } from '../../parts/copy-button.tsx';
import { FormEnd } from '../../parts/form-problem.tsx';
import { Loaded } from '../../parts/loaded.tsx';
import { useNow } from '../../parts/now.tsx';
import { Facts, Panel } from '../../parts/page.tsx';
import { saveFile } from '../../parts/save-file.ts';
import { Time } from '../../parts/time.tsx';
import { Tone } from '../../parts/tone.tsx';
import { useMay } from '../../session/session.tsx';

const SOON_MS = 30 * 86_400_000;

/** What the server proves itself with, and what sensors pin; an administrator can put another one in its place. */
export function CertificatePanel() {
  const query = useQuery(certificate);
  const admin = useMay('admin');
  const [replacing, { open, close }] = useDisclosure(false);
  const renew = useAction(() => answered(api.POST('/api/v1/certificate/renew')), {
    done: () => 'Another certificate was issued; sensors need nothing new',
    stale: ['certificate', 'status', 'overview'],
  });
  return (
    <Panel
      title="Certificate"
      actions={
        admin && (
          <div style={{ display: 'flex', gap: 8 }}>
            {query.data?.isOwn === true && (
              <Button
                size="xs"
                variant="default"
                loading={renew.isPending}
                onClick={() =>
                  ask({
                    title: 'Issue another certificate?',
                    text: "The server's own authority signs it, with the names that this host has now. Sensors have pinned the authority, so they need nothing new.",
                    confirm: 'Renew',
                    danger: false,
                    onConfirm: () => renew.mutate(undefined),
                  })
                }
              >
                Renew
              </Button>
            )}
            <Button size="xs" variant="default" onClick={open}>
              Replace
            </Button>
          </div>
        )
      }
    >
      <Loaded query={query}>{(facts) => <CertificateFacts facts={facts} />}</Loaded>
      <Modal
        opened={replacing}
        onClose={close}
        title="Replace the certificate"
        closeButtonProps={{ 'aria-label': 'Close' }}
      >
        <ReplaceForm close={close} />
      </Modal>
    </Panel>
  );
}

function CertificateFacts({ facts }: { facts: Schemas['Certificate'] }) {
  const now = useNow();
  const { subject, issuer, names, notBefore, notAfter, sha256, isOwn, authority } = facts;
  const isSoon = notAfter - now < SOON_MS;
  return (
    <Facts
      facts={[
        ['For', names.length > 0 ? names.map(plainName).join(', ') : subject],
        ['Issued by', isOwn ? "the server's own authority; renewed by itself" : issuer],
        ['Holds from', <Time key="from" at={notBefore} />],
        [
          'Holds until',
          <span key="until">
            <Time at={notAfter} />{' '}
            {isSoon && <Tone tone={notAfter < now ? 'bad' : 'warn'}>{notAfter < now ? 'over' : 'soon'}</Tone>}
          </span>,
        ],
        ['SHA-256', <Fingerprint key="sha256" value={sha256} />],
        [
          'Sensors pin',
          <span key="authority">
            <Fingerprint value={authority.sha256} /> until <Time at={authority.notAfter} />{' '}
            <Button size="compact-xs" variant="default" onClick={() => saveFile('rootCA.crt', authority.pem)}>
              rootCA.crt
            </Button>
          </span>,
        ],
      ]}
    />
  );
}

/** A name of a certificate; addresses of IPv6 in their short form. */
function plainName(name: string): string {
  const plain = name.replace(/^(DNS|IP Address):/, '');
  return plain.includes(':') && URL.canParse(`http://[${plain}]`)
    ? new URL(`http://[${plain}]`).hostname.slice(1, -1)
    : plain;
}

function Fingerprint({ value }: { value: string }) {
  return (
    <span>
      <span className="mono" style={{ overflowWrap: 'anywhere' }}>
        {value}
      </span>
      <CopyButton value={value} what="fingerprint" />
    </span>
  );
}

function ReplaceForm({ close }: { close: () => void }) {
  const client = useQueryClient();
  const form = useForm({
    mode: 'uncontrolled',
    initialValues: { pem: '', allowOtherAuthority: false },
    validate: {
      pem: (value) =>
        value.includes('PRIVATE KEY') && value.includes('CERTIFICATE')
          ? null
          : 'The private key and the certificate, both in PEM',
    },
  });
  const replace = useMutation({
    mutationFn: (body: typeof form.values) => answered(api.PUT('/api/v1/certificate', { body })),
    onSuccess: async () => {
      close();
      await Promise.all(['certificate', 'status'].map((key) => client.invalidateQueries({ queryKey: [key] })));
    },
  });
  return (
    <form onSubmit={form.onSubmit((values) => replace.mutate(values))} noValidate>
      <Stack gap="sm">
        <Textarea
          label="Private key, certificate, and those that signed it"
          description="PEM, one after another. It holds at once; connections that are open stay"
          autosize
          minRows={8}
          maxRows={16}
          spellCheck={false}
          autoComplete="off"
          classNames={{ input: 'mono' }}
          key={form.key('pem')}
          {...form.getInputProps('pem')}
        />
        <Checkbox
          label="Also if what sensors have pinned has not signed it: they refuse it until they pin another authority"
          key={form.key('allowOtherAuthority')}
          {...form.getInputProps('allowOtherAuthority', { type: 'checkbox' })}
        />
        <FormEnd change={replace} color="red.8">
          Replace it now
        </FormEnd>
      </Stack>
    </form>
  );
}
