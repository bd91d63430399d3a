import { useRouter } from '@tanstack/react-router';
import { type ReactNode, useEffect } from 'react';

/**
 * A link to a page, for the rows of long lists: the router's own costs as much as all the rest of a row.
 * @param to the page's address, as the server knows it
 */
export function PageLink({ to, title, children }: { to: string; title?: string; children: ReactNode }) {
  return (
    <a href={to} title={title} className="plain" data-page-link="">
      {children}
    </a>
  );
}

/** Follows every `PageLink` without loading anything anew; once for all of them. */
export function usePageLinks(): void {
  const router = useRouter();
  useEffect(() => {
    function onClick(event: MouseEvent): void {
      // A new tab, a new window, a download: the browser's.
      if (event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
      const link = event.target instanceof Element ? event.target.closest('a[data-page-link]') : null;
      const address = link?.getAttribute('href');
      if (event.defaultPrevented || address === null || address === undefined) return;
      event.preventDefault();
      router.history.push(address);
    }
    document.addEventListener('click', onClick);
    return () => document.removeEventListener('click', onClick);
  }, [router]);
}
