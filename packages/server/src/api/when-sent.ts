import type { ServerResponse } from 'node:http';

/** Calls `undo` where the connection ends before the answer has been written to it, else `sent` when it has. */
export function whenSent(response: ServerResponse, undo: () => void, sent: () => void = () => {}): void {
  if (response.destroyed) undo();
  else response.once('close', () => (response.writableFinished ? sent() : undo()));
}
