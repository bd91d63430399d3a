import { ActionIcon, CopyButton as MantineCopyButton } from '@mantine/core';
import { IconCheck, IconCopy } from '@tabler/icons-react';

/** Puts a text into the clipboard. @param what it is, for its name: `Copy uuid` */
export function CopyButton({ value, what, className }: { value: string; what: string; className?: string }) {
  return (
    <MantineCopyButton value={value}>
      {({ copied, copy }) => (
        <ActionIcon
          variant="subtle"
          color="gray"
          size="sm"
          className={className}
          aria-label={copied ? 'Copied' : `Copy ${what}`}
          title={copied ? 'Copied' : `Copy ${what}`}
          onClick={(event) => {
            event.stopPropagation();
            copy();
          }}
        >
          {copied ? <IconCheck size={14} /> : <IconCopy size={14} />}
        </ActionIcon>
      )}
    </MantineCopyButton>
  );
}
