/** What the command line says, besides the configuration directory. Durations are in ms. */
export interface ClientOptions {
  /** The configuration directory (`-c`). */
  readonly config: string;
  /** TLS to a network destination (`-ce`). */
  readonly tls: boolean;
  /** `-cc`: undefined where nothing was said; false takes any certificate. */
  readonly checkCertificate?: boolean;
  /** SHA-256 of the server's certificate, or of the authority's that it sends along; hexadecimal, colons allowed. */
  readonly pin?: string;
  /** TCP keep-alive (`-cka`); 0 turns it off. */
  readonly keepAliveMs: number;
  /** For the whole of connecting: TCP, SOCKS and TLS (`-ct`); 0 is no limit. */
  readonly connectTimeoutMs: number;
  /** Between looks at a source that has nothing more (`-rl`). */
  readonly pollMs: number;
  /** The longest wait between two attempts to connect (`-rt`); 0 exits on the first failure. */
  readonly retryMs: number;
  /** Bytes, frames, rate and state on the standard error (`-v`). */
  readonly verbose: boolean;
  /** Through the SOCKS5 proxy of a local Tor (`-tor`). */
  readonly tor: boolean;
  /** Watch the folder's subfolder of the day, YYYYMMDD in local time (`-daily`). */
  readonly daily: boolean;
  /** Files of the folder are JSON and sent as they are, not in base64 (`-json`). */
  readonly json: boolean;
  /** Never end: wait for more input at its end, as the Go client does. */
  readonly keepOpen: boolean;
  /** Acknowledged streams: where the server takes them, only then, or never. */
  readonly ack: 'auto' | 'require' | 'off';
  /** When bytes go to the spool: while the server cannot be reached or is behind, or always, before they are sent. */
  readonly spool: 'auto' | 'always';
  /** The most that the spool may take, in bytes. */
  readonly spoolLimit: number;
  /** When it is full: let the source wait, or drop the oldest. */
  readonly spoolFull: 'wait' | 'drop-oldest';
}

/** What holds where the command line says nothing: the Go client's values, but that a connection attempt has an end. */
export const DEFAULT_OPTIONS: Omit<ClientOptions, 'config'> = {
  tls: true,
  keepAliveMs: 30_000,
  connectTimeoutMs: 30_000,
  pollMs: 200,
  retryMs: 30_000,
  verbose: false,
  tor: false,
  daily: false,
  json: false,
  keepOpen: false,
  ack: 'auto',
  spool: 'auto',
  spoolLimit: 1_073_741_824,
  spoolFull: 'wait',
};
