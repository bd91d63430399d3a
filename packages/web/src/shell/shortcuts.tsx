import { Kbd, Modal, Table } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { useNavigate } from '@tanstack/react-router';
import { useEffect, useRef } from 'react';
import { NAVIGATION } from './navigation.ts';

const PAGES = NAVIGATION.flatMap(({ entries }) => [...entries]);
/** After `g`, the page's letter must come within so many ms. */
const SECOND_KEY_MS = 1_500;

/** The keys that work on every page, and their list under `?`. */
export function Shortcuts() {
  const [opened, { open, close }] = useDisclosure(false);
  const navigate = useNavigate();
  const wentAt = useRef(0);

  useEffect(() => {
    function onKey(event: KeyboardEvent): void {
      if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
      const page =
        event.timeStamp - wentAt.current < SECOND_KEY_MS ? PAGES.find(({ key }) => key === event.key) : undefined;
      wentAt.current = 0;
      if (page !== undefined) void navigate({ to: page.to });
      else if (event.key === 'g') wentAt.current = event.timeStamp;
      else if (event.key === '?') open();
      else if (event.key === '/') {
        const search = document.querySelector<HTMLInputElement>('[data-page-search]');
        if (search === null) void navigate({ to: '/sensors', search: { focus: true } });
        search?.focus();
        search?.select();
      } else return;
      event.preventDefault();
    }
    document.addEventListener('keydown', onKey);
    return () => document.removeEventListener('keydown', onKey);
  }, [navigate, open]);

  return (
    <Modal opened={opened} onClose={close} title="Keyboard" closeButtonProps={{ 'aria-label': 'Close' }}>
      <Table>
        <Table.Tbody>
          <Row keys={['/']} does="Search" />
          <Row keys={['?']} does="This list" />
          {PAGES.map(({ to, key, label }) => (
            <Row key={to} keys={['g', key]} does={label} />
          ))}
          <Row keys={['Esc']} does="Close what is open" />
        </Table.Tbody>
      </Table>
    </Modal>
  );
}

function Row({ keys, does }: { keys: string[]; does: string }) {
  return (
    <Table.Tr>
      <Table.Td w={110}>
        {keys.map((key) => (
          <Kbd key={key} mr={4}>
            {key}
          </Kbd>
        ))}
      </Table.Td>
      <Table.Td>{does}</Table.Td>
    </Table.Tr>
  );
}

function isTyping(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable ||
      /^(?:INPUT|TEXTAREA|SELECT)$/.test(target.tagName) ||
      target.closest('[role=dialog]') !== null)
  );
}
