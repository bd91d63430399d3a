/** Where a client's bytes come from. */
export interface Source {
  /** For messages. */
  readonly name: string;
  /** Whether it ends only when it is stopped. */
  readonly endless: boolean;
  /** The most that may be read ahead of the network, in bytes, where it is less than what the buffer can take. */
  readonly readAheadBytes?: number;
  /**
   * The bytes, in pieces of any size that nobody changes afterwards. Ends at the source's end, and when `stop` aborts.
   * @throws where the source cannot be read
   */
  read(stop: AbortSignal): AsyncIterable<Buffer>;
}
