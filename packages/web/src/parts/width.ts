import { useCallback, useState } from 'react';

/**
 * How wide an element is.
 * @returns its width in px, 0 before it is known, and the `ref` that the element needs
 */
export function useWidth(): [width: number, ref: (element: HTMLElement | null) => (() => void) | undefined] {
  const [width, setWidth] = useState(0);
  const ref = useCallback((element: HTMLElement | null) => {
    if (element === null) return undefined;
    setWidth(element.clientWidth);
    const observer = new ResizeObserver(() => setWidth(element.clientWidth));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return [width, ref];
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
