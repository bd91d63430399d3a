/** How to attach, for one kind of consumer. */
interface AttachCommand {
  readonly name: string;
  readonly text: string;
}

/**
 * What to run, or to write, to take items from a queue.
 * @param redis HOST:PORT of the analyzers' port
 */
export function attachCommands(
  { uuid, topic, key }: { uuid: string; topic: string; key: string },
  redis: string,
): AttachCommand[] {
  const colon = redis.lastIndexOf(':');
  const host = redis.slice(0, colon).replace(/^\[(.*)\]$/, '$1');
  const port = redis.slice(colon + 1);
  return [
    { name: 'redis-cli', text: `redis-cli -h ${host} -p ${port} -n 2 BRPOP ${key} 0` },
    {
      name: 'Python',
      text: `import redis

queue = redis.Redis(host="${host}", port=${port}, db=2)
while True:
    _, item = queue.brpop("${key}")
    print(item)`,
    },
    {
      name: 'Node.js',
      text: `import { createClient } from 'redis';

const queue = await createClient({ url: 'redis://${host.includes(':') ? `[${host}]` : host}:${port}/2' }).connect();
for (;;) {
  const { element } = await queue.brPop('${key}', 0);
  console.log(element);
}`,
    },
    {
      name: 'd4 export',
      text: `npx d4 export udp -t ${topic} -u ${uuid} -i 192.0.2.10 -p 8337 -ri ${host} -rp ${port}`,
    },
    { name: 'd4 queue', text: `npx d4 queue pop ${uuid} -n 10` },
  ];
}
