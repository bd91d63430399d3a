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
import type { LiveSession } from './people/login-sessions.ts';

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

/** Who is asking. */
export interface Principal {
  readonly actor: Actor;
  readonly role: Role;
  /** By a session's cookie, by a user's token or the credential of a queue, or by the local administrator's token. */
  readonly via: 'session' | 'token' | 'local';
  /** The user's mail address; undefined for the local administrator, and for who has a queue's credential. */
  readonly mail?: string;
  readonly session?: LiveSession & { readonly secret: string };
  readonly mustChangePassword: boolean;
  /** Whether what lets them in still does, where `signal` does not say so: a credential is looked up again. */
  isCurrent?(): boolean;
  /** Aborted when what lets them in ends: signed out, expired, revoked, disabled, another role. Streams end with it. */
  readonly signal: AbortSignal;
  /** Keeps the session from ending for want of use: for streams that somebody watches. */
  touch(): void;
}

/**
 * Who may use a route: `public` anybody; `signed-in` everybody with a session or token; `register` those who may register sensors (sensor_register, user,
 * admin: a viewer changes nothing); `queue` as `user`, and who has the credential of the queue in the path; else the smallest role, in the order viewer, user, admin.
 */
export type Access = 'public' | 'signed-in' | 'register' | 'queue' | 'viewer' | 'user' | 'admin';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Every route says who may use it. */
    access?: Access;
    /** `reference`: errors are `{ "status": "error", "reason": … }`, as the reference server answers. */
    errors?: 'reference';
    /** It works also for somebody who has to change the password first. */
    beforePasswordChange?: boolean;
  }
  interface FastifyRequest {
    /** Null on public routes. */
    principal: Principal | null;
  }
}
