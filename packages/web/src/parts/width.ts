import { useCallback, useState } from 'react';

/**
 * How wide an element is.
 * @returns its width in px, 0 before it is known, and the `ref` that the element needs
 */
export function useWidth(): [width: number, ref: (element: HTMLElement | null) => (() => void) | undefined] {
  const [width, setWidth] = useState(0);
  const ref = useCallback((element: HTMLElement | null) => {
    if (element === null) return undefined;
    // It is told of each element once at first, after the browser has laid out the page: asking before makes it do that twice.
    const observer = new ResizeObserver(() => setWidth(element.clientWidth));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return [width, ref];
}

/**
 * How wide an element is, and where.
 * @returns its width and the space above it in the document in px, undefined before they are known, and the `ref` that it needs
 */
export function usePlace(): [
  place: { readonly width: number; readonly top: number } | undefined,
  ref: (element: HTMLElement | null) => (() => void) | undefined,
] {
  const [place, setPlace] = useState<{ width: number; top: number }>();
  const ref = useCallback((element: HTMLElement | null) => {
    if (element === null) return undefined;
    const look = (): void => {
      const width = element.clientWidth;
      const top = element.getBoundingClientRect().top + window.scrollY;
      setPlace((before) => (before?.width === width && before.top === top ? before : { width, top }));
    };
    const observer = new ResizeObserver(look);
    observer.observe(element);
    // What grows above it moves it.
    observer.observe(document.body);
    return () => observer.disconnect();
  }, []);
  return [place, ref];
}

/** Whether an element's content is wider than it. @returns that, and the `ref` that the element needs */
export function useScrolls(): [scrolls: boolean, ref: (element: HTMLElement | null) => (() => void) | undefined] {
  const [scrolls, setScrolls] = useState(false);
  const ref = useCallback((element: HTMLElement | null) => {
    if (element === null) return undefined;
    const observer = new ResizeObserver(() => setScrolls(element.scrollWidth > element.clientWidth));
    observer.observe(element);
    for (const child of element.children) observer.observe(child);
    return () => observer.disconnect();
  }, []);
  return [scrolls, ref];
}
