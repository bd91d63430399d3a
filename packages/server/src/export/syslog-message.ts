/** Severities by their names, those of the reference's exporter among them (RFC 5424, section 6.2.1). */
export const SYSLOG_LEVELS = {
  emergency: 0,
  alert: 1,
  critical: 2,
  error: 3,
  warning: 4,
  notice: 5,
  info: 6,
  debug: 7,
} as const;
export type SyslogLevel = keyof typeof SYSLOG_LEVELS;

/** Facilities by their names (RFC 5424, section 6.2.1). */
export const SYSLOG_FACILITIES = {
  kern: 0,
  user: 1,
  mail: 2,
  daemon: 3,
  auth: 4,
  syslog: 5,
  lpr: 6,
  news: 7,
  uucp: 8,
  cron: 9,
  authpriv: 10,
  ftp: 11,
  local0: 16,
  local1: 17,
  local2: 18,
  local3: 19,
  local4: 20,
  local5: 21,
  local6: 22,
  local7: 23,
} as const;
export type SyslogFacility = keyof typeof SYSLOG_FACILITIES;

/** What is said about each record. */
export interface SyslogHeader {
  readonly level: SyslogLevel;
  readonly facility: SyslogFacility;
  /** The older form, as RFC 3164 describes it. */
  readonly rfc3164: boolean;
  /** Undefined for a socket of the same machine, where the older form has none. */
  readonly host: string | undefined;
  /** The records' type: the MSGID, or the tag. */
  readonly type: string;
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** Makes records into syslog messages: the record's bytes unchanged behind a header (RFC 5424, section 6; RFC 3164, section 4.1). */
export class SyslogMessages {
  readonly #header: SyslogHeader;
  /** Of the present second, or for RFC 5424 of the present millisecond. */
  #text = Buffer.alloc(0);
  #at = Number.NaN;

  constructor(header: SyslogHeader) {
    this.#header = header;
  }

  /** @param now ms since 1970 */
  message(record: Buffer, now: number): Buffer {
    if (now !== this.#at) {
      this.#at = now;
      this.#text = Buffer.from(this.#head(new Date(now)));
    }
    return Buffer.concat([this.#text, record]);
  }

  #head(time: Date): string {
    const { level, facility, rfc3164, host, type } = this.#header;
    const priority = SYSLOG_FACILITIES[facility] * 8 + SYSLOG_LEVELS[level];
    const name = printable(host ?? '', 255);
    if (!rfc3164) return `<${priority}>1 ${time.toISOString()} ${name} d4 - ${printable(type, 32)} - `;
    const day = String(time.getDate()).padStart(2);
    const clock = [time.getHours(), time.getMinutes(), time.getSeconds()].map((n) => String(n).padStart(2, '0'));
    const from = host === undefined ? '' : `${name} `;
    return `<${priority}>${MONTHS[time.getMonth()]} ${day} ${clock.join(':')} ${from}d4-${type}: `;
  }
}

function printable(text: string, most: number): string {
  const cleaned = text.replaceAll(/[^!-~]/g, '').slice(0, most);
  return cleaned === '' ? '-' : cleaned;
}
