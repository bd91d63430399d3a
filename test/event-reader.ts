import type { IncomingMessage } from 'node:http';

/** For tests: one server-sent event. */
export interface ServerEvent {
  readonly id: string | undefined;
  readonly event: string;
  readonly data: Record<string, unknown>;
}

/** For tests: reads a stream of server-sent events, until nobody wants more. */
export async function* eventsOf(response: IncomingMessage): AsyncGenerator<ServerEvent> {
  let rest = '';
  for await (const chunk of response.setEncoding('utf8')) {
    const parts = (rest + chunk).split('\n\n');
    rest = parts.pop() ?? '';
    for (const part of parts) {
      const fields = new Map(part.split('\n').map((line) => [line.split(': ', 1)[0], line.replace(/^[^:]*: /, '')]));
      const event = fields.get('event');
      if (event !== undefined) yield { id: fields.get('id'), event, data: JSON.parse(fields.get('data') ?? '{}') };
    }
  }
}

/** For tests: the first event that fits; those before it are thrown away. */
export async function eventWhere(
  events: AsyncGenerator<ServerEvent>,
  fits: (event: ServerEvent) => boolean,
): Promise<ServerEvent> {
  for (;;) {
    const { value, done } = await events.next();
    if (done === true) throw new Error('the stream ended before what was waited for');
    if (fits(value)) return value;
  }
}
