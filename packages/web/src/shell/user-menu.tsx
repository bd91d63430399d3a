import { Menu, SegmentedControl, UnstyledButton, useMantineColorScheme } from '@mantine/core';
import { IconChevronUp, IconKey, IconLogout, IconLogout2, IconUserCircle } from '@tabler/icons-react';
import { useNavigate } from '@tanstack/react-router';
import { useSession, useSignOut } from '../session/session.tsx';

/** Who is signed in; how it looks; the way out. */
export function UserMenu({ compact = false }: { compact?: boolean }) {
  const { mail, role } = useSession();
  const signOut = useSignOut();
  const navigate = useNavigate();
  const { colorScheme, setColorScheme } = useMantineColorScheme();
  return (
    <Menu position={compact ? 'bottom-end' : 'top-start'} width={230} withinPortal>
      <Menu.Target>
        <UnstyledButton
          aria-label={compact ? `Account of ${mail}` : undefined}
          style={{
            display: 'flex',
            alignItems: 'center',
            gap: 8,
            padding: 6,
            width: compact ? undefined : '100%',
            minWidth: 0,
          }}
        >
          <IconUserCircle size={22} stroke={1.5} style={{ flex: 'none' }} aria-hidden="true" />
          {!compact && (
            <>
              <span style={{ minWidth: 0, flex: 1, fontSize: 13, lineHeight: 1.25 }}>
                <span className="ellipsis" style={{ display: 'block' }} title={mail}>
                  {mail}
                </span>
                <span className="dimmed">{role}</span>
              </span>
              <IconChevronUp size={14} aria-hidden="true" />
            </>
          )}
        </UnstyledButton>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label style={{ overflowWrap: 'anywhere' }}>
          {mail} · {role}
        </Menu.Label>
        <div style={{ padding: '2px 8px 8px' }}>
          <SegmentedControl
            fullWidth
            size="xs"
            aria-label="Colours"
            value={colorScheme}
            onChange={(value) => setColorScheme(value as typeof colorScheme)}
            data={[
              { value: 'auto', label: 'Auto' },
              { value: 'light', label: 'Light' },
              { value: 'dark', label: 'Dark' },
            ]}
          />
        </div>
        <Menu.Divider />
        <Menu.Item leftSection={<IconKey size={16} />} onClick={() => void navigate({ to: '/account' })}>
          Account and password
        </Menu.Item>
        <Menu.Item leftSection={<IconLogout size={16} />} onClick={() => signOut.mutate({ everywhere: false })}>
          Sign out
        </Menu.Item>
        <Menu.Item leftSection={<IconLogout2 size={16} />} onClick={() => signOut.mutate({ everywhere: true })}>
          Sign out everywhere
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
