import type { Alert, AlertWay } from './port.ts';

const TIMEOUT_MS = 10_000;

/** Posts each alert as JSON. */
export function webhook(url: string): AlertWay {
  return {
    name: 'webhook',
    async send(alert: Alert): Promise<void> {
      let response: Response;
      try {
        response = await fetch(url, {
          method: 'POST',
          headers: { 'content-type': 'application/json', 'user-agent': 'd4ts' },
          body: JSON.stringify(alert),
          redirect: 'error',
          signal: AbortSignal.timeout(TIMEOUT_MS),
        });
      } catch (error) {
        // The URL may be a secret, so only the reason is said.
        const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
        throw new Error(`not reached: ${cause instanceof Error ? cause.message : String(cause)}`, { cause: error });
      }
      await response.body?.cancel();
      if (!response.ok) throw new Error(`answered ${response.status}`);
    },
  };
}
