import { text } from 'node:stream/consumers';
import { type Enrolled, enroll, processEnvironment } from '@d4ts/client';
import { D4Error, plainLine, wireTypeTitle } from '@d4ts/protocol';
import type { Command } from 'commander';

/** Where the configuration goes if nobody says another place. */
const DIRECTORY = 'd4-sensor';

/** Adds `d4 client enroll`: makes this machine a sensor, by a token that somebody at the server has made. */
export function registerEnrollCommand(client: Command): void {
  client
    .command('enroll')
    .description(`register this machine as a new sensor and write its configuration directory (-c, or ${DIRECTORY})`)
    .argument('<TOKEN>', 'as somebody at the server has made it; - reads it from standard input')
    .option('--type <TYPE>', 'what it will send: a number such as 3, or the name of a meta type')
    .option('--name <TEXT>', 'what people are to call the sensor, where the token does not say it')
    .action(async (token: string, _options: object, self: Command) => {
      await run(token, self.optsWithGlobals<Options>());
    });
}

interface Options {
  readonly config?: string;
  readonly type?: string;
  readonly name?: string;
  readonly tor: boolean;
  readonly connectTimeout: number;
}

async function run(given: string, { config: directory = DIRECTORY, ...options }: Options): Promise<void> {
  const token = given === '-' ? await text(process.stdin) : given;
  if (token.trim() === '') throw new D4Error('D4_USAGE', 'there is no token on the standard input');
  const stop = new AbortController();
  process.once('SIGTERM', () => stop.abort());
  process.once('SIGINT', () => stop.abort());
  const { type, name, tor, connectTimeout: connectTimeoutMs } = options;
  const said = { ...(type !== undefined && { type }), ...(name !== undefined && { name }) };
  const enrolled = await enroll({ token, directory, tor, connectTimeoutMs, ...said }, processEnvironment(stop.signal));
  process.stdout.write(whatNext(enrolled, directory));
}

function whatNext({ uuid, server, caSha256, state, type, name }: Enrolled, directory: string): string {
  const title = /^[0-9]+$/.test(type) ? wireTypeTitle(Number(type)) : 'meta type';
  const called = name === '' ? uuid : `${plainLine(name)} (${uuid})`;
  return `sensor ${called} is registered at ${server}, ${STANDING[state]}
its configuration is in ${directory}: type ${type}${title === undefined ? '' : ` (${title})`}, authority ${caSha256.slice(0, 16)}…

send something:

  your-program | d4 client -c ${quoted(directory)}
`;
}

const STANDING: Readonly<Record<Enrolled['state'], string>> = {
  approved: 'and may send',
  pending: 'and waits for approval there; the client can be started, it goes on asking',
  revoked: 'but its approval was revoked there since',
};

/** As a shell takes it for one word. */
function quoted(path: string): string {
  return /^[A-Za-z0-9_./~-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`;
}
