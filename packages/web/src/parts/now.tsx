import { createContext, type ReactNode, use, useEffect, useState } from 'react';

const TICK_MS = 5_000;
const Now = createContext(0);

/** Keeps the time that `useNow` gives. */
export function NowProvider({ children }: { children: ReactNode }) {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), TICK_MS);
    return () => clearInterval(timer);
  }, []);
  return <Now value={now}>{children}</Now>;
}

/** Now, ms since 1970, to five seconds; what uses it is drawn again as time goes by. */
export function useNow(): number {
  return use(Now);
}
