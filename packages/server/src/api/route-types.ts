import type { Server } from 'node:https';
import type {
  FastifyBaseLogger,
  FastifyInstance,
  FastifyTypeProvider,
  RawReplyDefaultExpression,
  RawRequestDefaultExpression,
} from 'fastify';
import type { Static, TSchema } from 'typebox';
import type { Actor, Role } from '../registry/port.ts';

/** Tells the framework's types what a schema means. */
interface SchemaTypes extends FastifyTypeProvider {
  validator: this['schema'] extends TSchema ? Static<this['schema']> : unknown;
  serializer: this['schema'] extends TSchema ? Static<this['schema']> : unknown;
}

/** The HTTP application, with types that follow from the schemas. */
export type ApiApp = FastifyInstance<
  Server,
  RawRequestDefaultExpression<Server>,
  RawReplyDefaultExpression<Server>,
  FastifyBaseLogger,
  SchemaTypes
>;

/** Who is asking: the owner of the token. */
export interface Principal {
  readonly actor: Actor;
  readonly role: Role;
}

/**
 * Who may use a route: `public` without a token; `register` those who may register sensors (sensor_register, user,
 * admin: a viewer changes nothing); else the smallest role, in the order viewer, user, admin.
 */
export type Access = 'public' | 'register' | 'viewer' | 'user' | 'admin';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Every route says who may use it. */
    access?: Access;
    /** `reference`: errors are `{ "status": "error", "reason": … }`, as the reference server answers. */
    errors?: 'reference';
  }
  interface FastifyRequest {
    /** Null on public routes. */
    principal: Principal | null;
  }
}
