import { CopyButton } from './copy-button.tsx';
import { Code } from './page.tsx';

/** A secret that is shown this once. */
export function Secret({ value, what }: { value: string; what: string }) {
  return (
    <>
      <Code label={what} copy={<CopyButton value={value} what={what} />}>
        {value}
      </Code>
      <p className="dimmed" style={{ margin: 0, fontSize: 13 }}>
        Copy it now: the server keeps no copy and cannot show it again.
      </p>
    </>
  );
}
