import { createTransport } from 'nodemailer';
import type { Alert, AlertSettings, AlertWay } from './port.ts';

const TIMEOUT_MS = 10_000;

/** Sends each alert as a mail. @returns undefined where the settings name no server, sender or recipient */
export function mail({ host, port, tls, user, password, from, to }: AlertSettings['smtp']): AlertWay | undefined {
  if (host === undefined || from === undefined || to === undefined) return undefined;
  const transport = createTransport({
    host,
    port,
    secure: tls === 'implicit',
    requireTLS: tls === 'starttls',
    ignoreTLS: tls === 'none',
    connectionTimeout: TIMEOUT_MS,
    greetingTimeout: TIMEOUT_MS,
    socketTimeout: TIMEOUT_MS,
    disableFileAccess: true,
    disableUrlAccess: true,
    ...(user !== undefined && { auth: { user, pass: password ?? '' } }),
  });
  return {
    name: 'mail',
    async send(alert: Alert): Promise<void> {
      await transport.sendMail({ from, to, subject: oneLine(`[D4] ${alert.summary}`), text: bodyOf(alert) });
    },
  };
}

/** What people or sensors wrote must not become a header. */
function oneLine(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ').slice(0, 200);
}

function bodyOf({ summary, at, count, sensors }: Alert): string {
  const lines = sensors.map(({ uuid, description, mail, lastSeen, expectedIntervalSeconds }) => {
    const seen = lastSeen === null ? 'never seen' : `last seen ${new Date(lastSeen).toISOString()}`;
    const about = [description, mail].filter((text) => text !== '').map(oneLine);
    return `- ${uuid}: ${[...about, seen, `expected every ${expectedIntervalSeconds} s`].join(', ')}`;
  });
  const more = sensors.length > 0 && count > sensors.length ? [`… and ${count - sensors.length} more`] : [];
  return [`${summary} (${new Date(at).toISOString()})`, '', ...lines, ...more, ''].join('\n');
}
