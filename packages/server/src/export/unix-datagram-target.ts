import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { D4Error } from '@d4ts/protocol';
import { BackOff } from './back-off.ts';
import type { ExportTarget, Outstanding, RecordBatch, TargetCounts, TargetEvents } from './port.ts';

/**
 * Node.js has no unix datagram sockets: node:dgram makes UDP sockets only, node:net and descriptors that it is given must
 * be streams. So these few lines of Perl (part of every Debian) or Python send the datagrams. On standard input: a length of
 * four bytes, big-endian, and the datagram. On standard output, a line for each: `+` sent, `-` too long for the
 * system; and `! REASON` for each attempt that failed. A full receiver makes the send wait.
 */
const PERL = String.raw`
use strict; use Socket; use IO::Handle; $| = 1; binmode STDIN;
my $socket; my $address = pack_sockaddr_un($ARGV[0]);
sub take { my ($want) = @_; my $got = ''; while (length $got < $want) { my $n = read STDIN, $got, $want - length $got, length $got; exit 0 unless $n; } $got }
for (;;) {
  my $record = take(unpack 'N', take(4));
  for (;;) {
    if (!$socket) {
      socket($socket, AF_UNIX, SOCK_DGRAM, 0) or die "socket: $!";
      if (!connect($socket, $address)) { print "! $!\n"; close $socket; undef $socket; select undef, undef, undef, 0.25; next; }
    }
    if (defined send($socket, $record, 0)) { print "+\n"; last; }
    if ($!{EMSGSIZE}) { print "-\n"; last; }
    print "! $!\n"; close $socket; undef $socket; select undef, undef, undef, 0.25;
  }
}`;

const PYTHON = `
import errno, os, socket, struct, sys, time
source = sys.stdin.buffer
sender = None
def say(line):
    sys.stdout.write(line + '\\n')
    sys.stdout.flush()
while True:
    head = source.read(4)
    if len(head) < 4:
        sys.exit(0)
    size = struct.unpack('>I', head)[0]
    record = source.read(size)
    if len(record) < size:
        sys.exit(0)
    while True:
        try:
            if sender is None:
                made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                made.connect(sys.argv[1])
                sender = made
            sender.send(record)
            say('+')
            break
        except OSError as error:
            if error.errno == errno.EMSGSIZE:
                say('-')
                break
            say('! ' + os.strerror(error.errno))
            sender = None
            time.sleep(0.25)
`;

const HELPERS = [
  { program: 'perl', args: ['-MErrno', '-e', PERL] },
  { program: 'python3', args: ['-u', '-c', PYTHON] },
] as const;
type Helper = (typeof HELPERS)[number];

const CLOSE_MS = 2_000;
const WARN_AGAIN_MS = 10_000;

/** What a unix datagram target is told. */
export interface UnixDatagramOptions {
  /** In words: `unix`, `syslog over unix`. */
  readonly kind: string;
  readonly path: string;
  readonly datagram: (record: Buffer) => Buffer;
  /** Only tests say which programs are looked for. */
  readonly programs?: readonly Helper['program'][];
}

/** Sends each record as one datagram to a unix socket, in order, with the help of another program. */
export class UnixDatagramTarget implements ExportTarget {
  readonly where: string;
  readonly counts: TargetCounts = { errors: 0, skipped: 0, repeated: 0 };
  problem: string | undefined;
  readonly #options: UnixDatagramOptions;
  readonly #events: TargetEvents;
  readonly #max: Outstanding;
  readonly #helper: Helper;
  readonly #backOff = new BackOff();
  /** Datagrams that the helper has not answered for. */
  #waiting: Buffer[] = [];
  #bytes = 0;
  #child: ChildProcessWithoutNullStreams | undefined;
  #wake: () => void = () => {};
  #closing = false;
  #longWarnedAt = Number.NEGATIVE_INFINITY;

  private constructor(options: UnixDatagramOptions, helper: Helper, events: TargetEvents, max: Outstanding) {
    this.#options = options;
    this.#helper = helper;
    this.#events = events;
    this.#max = max;
    this.where = `${options.kind} ${options.path}`;
    this.#start();
  }

  /** @throws {D4Error} D4_EXPORT_TARGET where the machine has none of the programs */
  static async open(options: UnixDatagramOptions, events: TargetEvents, max: Outstanding): Promise<UnixDatagramTarget> {
    for (const helper of HELPERS) {
      if (options.programs?.includes(helper.program) === false) continue;
      if (await runs(helper.program)) return new UnixDatagramTarget(options, helper, events, max);
    }
    throw new D4Error(
      'D4_EXPORT_TARGET',
      `datagrams cannot be sent to ${options.path}: Node.js has no unix datagram sockets, and neither perl nor python3, which would send them for it, is installed. Install one of them, or let the receiver listen on a stream socket (--stream)`,
    );
  }

  async send({ records }: RecordBatch, signal: AbortSignal): Promise<void> {
    for (const record of records) {
      const datagram = this.#options.datagram(record);
      this.#waiting.push(datagram);
      this.#bytes += datagram.length;
      if (this.#child !== undefined) write(this.#child, datagram);
      while (this.#full && !signal.aborted) await this.#answer(signal);
      if (signal.aborted) return;
    }
  }

  async close(): Promise<void> {
    const end = AbortSignal.timeout(CLOSE_MS);
    while (this.#waiting.length > 0 && this.problem === undefined && !end.aborted) await this.#answer(end);
    this.#closing = true;
    const child = this.#child;
    if (child === undefined) return;
    const ended = once(child, 'close');
    child.kill('SIGKILL');
    await ended;
  }

  get #full(): boolean {
    return this.#waiting.length >= Math.min(this.#max.records, 1_000) || this.#bytes >= this.#max.bytes;
  }

  async #answer(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const wake = () => resolve();
    this.#wake = wake;
    signal.addEventListener('abort', wake, { once: true });
    await promise;
    signal.removeEventListener('abort', wake);
  }

  #start(): void {
    const { program, args } = this.#helper;
    const child = spawn(program, [...args, this.#options.path], { stdio: 'pipe' });
    this.#child = child;
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      said = text.trim();
    });
    child.on('error', (error) => {
      said = error.message;
    });
    child.stdin.on('error', () => {});
    createInterface({ input: child.stdout }).on('line', (line) => this.#take(line));
    child.once('close', () => {
      this.#child = undefined;
      this.#wake();
      if (!this.#closing) void this.#startAgain(said);
    });
    for (const datagram of this.#waiting) write(child, datagram);
  }

  async #startAgain(said: string): Promise<void> {
    this.#fail(`${this.#helper.program}, which sends to ${this.#options.path}, ended${said === '' ? '' : `: ${said}`}`);
    await this.#backOff.wait(new AbortController().signal);
    if (!this.#closing) this.#start();
  }

  #take(line: string): void {
    if (line.startsWith('!')) {
      this.#fail(`cannot send to ${this.#options.path}: ${line.slice(2)}`);
      return;
    }
    const datagram = this.#waiting.shift();
    if (datagram === undefined) return;
    this.#bytes -= datagram.length;
    if (line === '-') this.#skip(datagram.length);
    if (this.problem !== undefined) this.#events.warn(`${this.#options.path} takes datagrams again`);
    this.problem = undefined;
    this.#backOff.reset();
    this.#events.delivered(1);
    this.#wake();
  }

  #skip(bytes: number): void {
    this.counts.skipped++;
    const now = performance.now();
    if (now - this.#longWarnedAt < WARN_AGAIN_MS) return;
    this.#longWarnedAt = now;
    this.#events.warn(`a record of ${bytes} bytes is skipped: the system sends no datagram of that length`);
  }

  #fail(problem: string): void {
    this.counts.errors++;
    if (problem !== this.problem) this.#events.warn(`${problem}: records are held until it takes them`);
    this.problem = problem;
  }
}

function write(child: ChildProcessWithoutNullStreams, datagram: Buffer): void {
  const head = Buffer.alloc(4);
  head.writeUInt32BE(datagram.length);
  child.stdin.cork();
  child.stdin.write(head);
  child.stdin.write(datagram);
  process.nextTick(() => child.stdin.uncork());
}

async function runs(program: string): Promise<boolean> {
  const child = spawn(program, ['--version'], { stdio: 'ignore' });
  try {
    const [code] = await once(child, 'close');
    return code === 0;
  } catch {
    return false;
  }
}
