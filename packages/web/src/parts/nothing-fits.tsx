import { Button } from '@mantine/core';
import type { ReactNode } from 'react';
import { Empty } from './page.tsx';

/**
 * Says that there is something, but nothing that fits what is searched and filtered for.
 * @param showAll lets go of all of that
 */
export function NothingFits({ title, icon, showAll }: { title: string; icon?: ReactNode; showAll: () => void }) {
  return (
    <Empty
      icon={icon}
      title={title}
      action={
        <Button variant="default" onClick={showAll}>
          Show all
        </Button>
      }
    >
      Nothing fits what you search and filter for.
    </Empty>
  );
}
