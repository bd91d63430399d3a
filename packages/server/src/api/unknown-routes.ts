import { D4Error } from '@d4ts/protocol';
import type { FastifyReply, FastifyRequest, RouteOptions } from 'fastify';

/** Knows the routes, to tell an address that does not exist from one that does not take the method. */
export class RouteTable {
  readonly #routes: { pattern: RegExp; methods: string[] }[] = [];

  /** Adds a route; parameters are `:name`. */
  add({ url, method }: Pick<RouteOptions, 'url' | 'method'>): void {
    const pattern = new RegExp(`^${url.replaceAll('.', '\\.').replaceAll(/:[A-Za-z]+/g, '[^/]+')}$`);
    this.#routes.push({ pattern, methods: [method].flat() });
  }

  /** The methods that an address takes, sorted; empty where there is no such address. */
  methodsOf(path: string): string[] {
    const methods = this.#routes.flatMap((route) => (route.pattern.test(path) ? route.methods : []));
    return [...new Set(methods)].sort();
  }

  /** Answers a request that no route takes. @throws {D4Error} D4_NOT_FOUND, D4_METHOD_NOT_ALLOWED */
  refuse(request: FastifyRequest, reply: FastifyReply): never {
    const path = request.url.replace(/\?.*$/s, '');
    const methods = this.methodsOf(path);
    if (methods.length === 0) throw new D4Error('D4_NOT_FOUND', `there is nothing at ${path}`);
    reply.header('allow', methods.join(', '));
    throw new D4Error('D4_METHOD_NOT_ALLOWED', `${path} takes ${methods.join(', ')}, not ${request.method}`);
  }
}
