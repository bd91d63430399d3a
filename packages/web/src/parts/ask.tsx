import { modals } from '@mantine/modals';
import type { ReactNode } from 'react';

/** Asks before something that cannot be taken back, or that hurts. */
export function ask({
  title,
  text,
  confirm,
  danger = true,
  onConfirm,
}: {
  title: string;
  text: ReactNode;
  /** The word on the button: what is done. */
  confirm: string;
  danger?: boolean;
  onConfirm: () => void;
}): void {
  modals.openConfirmModal({
    title,
    children: <div style={{ fontSize: 14 }}>{text}</div>,
    labels: { confirm, cancel: 'Cancel' },
    confirmProps: danger ? { color: 'red.8' } : {},
    cancelProps: { 'data-autofocus': true },
    closeButtonProps: { 'aria-label': 'Close' },
    onConfirm,
  });
}
