import { D4Error } from '@d4ts/protocol';
import type { ArchivedFileView } from '@d4ts/server';
import type { ApiConnection } from './api-connection.ts';
import { CaptureJoiner } from './capture-joiner.ts';
import { print } from './output.ts';
import { terminalText } from './terminal-text.ts';

const CAPTURE_TOPIC = '1';

/**
 * Prints what is in files, one after the other. Several captures become one that can be read.
 * @param stored as they are on disk
 */
export async function printFiles(
  api: ApiConnection,
  files: readonly ArchivedFileView[],
  stored: boolean,
): Promise<void> {
  const join = !stored && files.length > 1 && areCaptures(files) ? new CaptureJoiner() : undefined;
  const printChunk = process.stdout.isTTY ? terminalPrinter() : print;
  for (const { id } of files) {
    const content = api.download(`/archive/files/${encodeURIComponent(id)}/content${stored ? '?stored=true' : ''}`);
    for await (const chunk of join?.add(content, id) ?? content) await printChunk(chunk);
  }
}

/** @throws {D4Error} D4_USAGE where some are, others not: that makes no sense to any reader */
function areCaptures(files: readonly ArchivedFileView[]): boolean {
  const captures = files.filter(({ topic, kind }) => topic === CAPTURE_TOPIC && kind === 'stream');
  if (captures.length === 0) return false;
  const other = files.find((file) => !captures.includes(file));
  if (other === undefined) return true;
  throw new D4Error('D4_USAGE', `${other.id} is no capture, others are: print them by themselves, or with --raw`);
}

/** On a terminal nothing is printed that it would obey; lines stay lines. */
function terminalPrinter(): (chunk: Buffer) => Promise<void> {
  const decoder = new TextDecoder();
  return (chunk) => {
    const lines = decoder.decode(chunk, { stream: true }).split('\n');
    return print(lines.map(terminalText).join('\n'));
  };
}
