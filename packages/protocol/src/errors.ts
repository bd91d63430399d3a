/** A stable error code: `D4_` and capitals. Match on it, never on a message. */
export type D4Code = `D4_${string}`;

/**
 * The one error class of the project. `message` says what was wrong, where, and what to do;
 * `code` is stable; `cause` is the error underneath, if there is one.
 */
export class D4Error extends Error {
  readonly code: D4Code;

  constructor(code: D4Code, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'D4Error';
    this.code = code;
  }
}
