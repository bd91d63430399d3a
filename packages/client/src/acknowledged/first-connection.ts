import { setTimeout as sleep } from 'node:timers/promises';
import { ACK_ALPN } from '@d4ts/protocol';
import { Backoff } from '../backoff.ts';
import { addressText } from '../destination.ts';
import { agreedOn, refusesAlpn } from '../dial.ts';
import type { ClientEnvironment } from '../environment.ts';
import { reasonOf } from '../network-trouble.ts';
import type { Report } from '../report.ts';
import { connect, type NetworkOptions, type OpenConnection } from '../transmitter.ts';

/** What the first connection has shown. */
export type FirstConnection =
  | { readonly kind: 'acknowledged'; readonly open: OpenConnection }
  /** The server knows no acknowledged streams. The connection can be used as it is. */
  | { readonly kind: 'plain'; readonly open: OpenConnection }
  | { readonly kind: 'aborted' | 'failed' };

/** Connects, as often as it takes, and finds out whether the server takes acknowledged streams. */
export async function firstConnection(
  network: NetworkOptions,
  environment: ClientEnvironment,
  report: Report,
): Promise<FirstConnection> {
  const { signal } = environment;
  const where = addressText(network.route.server);
  const backoff = new Backoff(network.retryMs, environment.random);
  let offersAck = true;
  for (;;) {
    report.state(`connecting to ${where}`);
    try {
      const open = await connect({ ...network.route, alpn: offersAck ? ACK_ALPN : undefined }, signal);
      report.fine(`connected to ${where}`);
      return { kind: agreedOn(open.socket, ACK_ALPN) ? 'acknowledged' : 'plain', open };
    } catch (cause) {
      if (signal.aborted) return { kind: 'aborted' };
      if (offersAck && refusesAlpn(cause)) {
        offersAck = false;
        continue;
      }
      const trouble = `cannot reach ${where}: ${reasonOf(cause)}`;
      if (network.retryMs === 0) {
        report.say(trouble);
        return { kind: 'failed' };
      }
      const waitMs = backoff.next();
      report.trouble(trouble, waitMs);
      report.state(`waiting for ${where}`);
      if (!(await sleep(waitMs, true, { signal }).catch(() => false))) return { kind: 'aborted' };
    }
  }
}
