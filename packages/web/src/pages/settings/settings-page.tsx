import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { status } from '../../api/queries.ts';
import { Bytes } from '../../parts/bytes.tsx';
import { formatCount, formatSpan } from '../../parts/format.ts';
import { Loaded } from '../../parts/loaded.tsx';
import { Facts, Page, Panel } from '../../parts/page.tsx';
import { Time } from '../../parts/time.tsx';
import { useMay } from '../../session/session.tsx';
import { CertificatePanel } from './certificate.tsx';
import { SettingList } from './setting-list.tsx';

/** How the server is set up, and how it is. */
export function SettingsPage() {
  const query = useQuery(status);
  const may = useMay('user');
  return (
    <Page
      title="Settings"
      about="How this server is set up. It is changed in its configuration file, and holds from the next start"
    >
      <Loaded query={query} rows={8}>
        {({ addresses, mode, home, version, startedAt, uptimeSeconds, connections, memory, backPressure, archive }) => (
          <div
            style={{
              display: 'grid',
              gap: 16,
              gridTemplateColumns: 'repeat(auto-fit, minmax(min(100%, 400px), 1fr))',
              alignItems: 'start',
            }}
          >
            <Panel title="Addresses">
              <Facts
                facts={[
                  ['Sensors (TLS)', <code key="listen">{addresses?.listen ?? '–'}</code>],
                  ['Pages and API', <code key="web">{addresses?.web ?? '–'}</code>],
                  ['Analyzers (Redis)', <code key="redis">{addresses?.redis ?? '–'}</code>],
                  [
                    'Connections',
                    `${formatCount(connections.sensors)} of sensors, ${formatCount(connections.analyzers)} of analyzers`,
                  ],
                ]}
              />
            </Panel>
            <Panel title="Sensors become known">
              <Facts
                facts={[
                  ['Mode', mode],
                  [
                    'Meaning',
                    mode === 'registration'
                      ? 'A sensor must be registered and approved before it may send'
                      : 'A sensor that has the default key registers itself, marked as unproven',
                  ],
                ]}
              />
            </Panel>
            <CertificatePanel />
            <Panel title="Program">
              <Facts
                facts={[
                  ['Version', version],
                  ['Home', <code key="home">{home}</code>],
                  ['Archive', <code key="archive">{archive.root}</code>],
                  ['Started', <Time key="started" at={startedAt} />],
                  ['Running for', formatSpan(uptimeSeconds * 1000)],
                  ['Memory', <Bytes key="memory" value={memory.rssBytes} />],
                  [
                    'Held back',
                    `${formatCount(backPressure.paused)} sessions now, ${formatCount(backPressure.pauses)} times in all`,
                  ],
                ]}
              />
            </Panel>
            <Panel title="Interface">
              <p style={{ margin: 0, fontSize: 14 }}>
                Everything that these pages do is in <code>/api/v1</code>: see its <a href="/api/docs">documentation</a>
                , or <a href="/api/v1/openapi.json">openapi.json</a> (OpenAPI 3.1). Tokens for programs are under{' '}
                <Link to="/account">your account</Link>.
              </p>
            </Panel>
          </div>
        )}
      </Loaded>
      {may && (
        <div style={{ marginTop: 16 }}>
          <SettingList />
        </div>
      )}
    </Page>
  );
}
