import Type, { type Static } from 'typebox';
import { closed, count, MAX_MAIL_LENGTH, optionalTime, time, words } from '../schema-parts.ts';
import { ROLES } from './roles.ts';

/* Who may do what: what the HTTP interface says of people, and takes. */

const mail = Type.String({ maxLength: MAX_MAIL_LENGTH, examples: ['operator@example.org'] });
/** Longer ones are refused by the rules, with a reason. */
const password = Type.String({ maxLength: 4_096, examples: ['four words by chance'] });
const role = words(ROLES, 'admin > user > viewer; sensor_register may register sensors and nothing else');

export const LoginBody = closed('Login', { mail, password });

export const SessionState = closed('SignedIn', {
  mail: Type.String(),
  role,
  mustChangePassword: Type.Boolean({
    description: 'Nothing but `POST /me/password`, `GET /me` and signing out works until the password is changed',
  }),
  csrfToken: Type.String({ description: 'To be sent as `x-csrf-token` with every request that changes something' }),
  sessionId: Type.String({ description: 'Names the session in `/me/sessions`' }),
  createdAt: time('Signed in'),
  idleSeconds: count('Ends when it is not used for so long'),
  endsAt: time('Ends in any case'),
});
export type SessionState = Static<typeof SessionState>;

export const Me = closed('Me', {
  mail: Type.String({ description: "`local` for the local administrator's token" }),
  role,
  via: words(['session', 'token', 'local'] as const, 'How this request is signed in'),
  mustChangePassword: Type.Boolean(),
});
export type Me = Static<typeof Me>;

export const PasswordChange = closed('PasswordChange', {
  current: Type.String({ maxLength: 4_096, description: 'The password as it is' }),
  password,
});

export const MySession = closed('MySession', {
  id: Type.String(),
  current: Type.Boolean({ description: 'Whether it is the one that asks' }),
  createdAt: time('Signed in'),
  lastUsedAt: time('Last used, to the minute'),
  address: Type.String({ description: 'Last used from' }),
  userAgent: Type.String({ description: 'What the browser says it is' }),
});
export type MySession = Static<typeof MySession>;
export const MySessions = closed('MySessions', { items: Type.Array(MySession) });

export const Ended = closed('Ended', { sessions: count('Ended') });

export const IdParam = Type.Object({ id: Type.String({ maxLength: 64 }) });

export const UserView = closed('User', {
  mail: Type.String(),
  revision: Type.Integer({ minimum: 1, description: 'Grows with each change' }),
  role,
  disabled: Type.Boolean({ description: 'May neither sign in nor use tokens' }),
  mustChangePassword: Type.Boolean(),
  createdAt: time('Made'),
  sessions: count('Signed in, now'),
  lastUsedAt: optionalTime('Last use of a session or token that is still there'),
  tokens: count('Tokens that work'),
  locked: Type.Boolean({ description: 'Whether sign-in is held back after failures, from some address at least' }),
});
export type UserView = Static<typeof UserView>;

export const UserDraft = closed('UserDraft', {
  mail,
  role,
  password: Type.Optional(password),
  mustChangePassword: Type.Optional(
    Type.Boolean({ description: 'At the first login; true if not given, since somebody else knows the password' }),
  ),
});

export const UserAdded = closed('UserAdded', {
  user: UserView,
  password: Type.Union([Type.String(), Type.Null()], {
    description: 'Made by chance where none was given; it is not shown again',
  }),
});
export type UserAdded = Static<typeof UserAdded>;

export const UserChange = closed('UserChange', {
  revision: Type.Optional(Type.Integer({ minimum: 1, description: 'Change only if it is still this one' })),
  role: Type.Optional(role),
  disabled: Type.Optional(Type.Boolean()),
});

export const PasswordReset = closed('PasswordReset', {
  password: Type.Optional(password),
  mustChangePassword: Type.Optional(Type.Boolean({ description: 'At the next login; true if not given' })),
});

export const UserParam = Type.Object({ mail: Type.String({ examples: ['operator@example.org'] }) });

export const TokenView = closed('Token', {
  id: Type.String({ description: 'Names it; says nothing about its secret' }),
  name: Type.String(),
  user: Type.String(),
  role,
  createdAt: time('Made'),
  expiresAt: optionalTime('Works until then'),
  expired: Type.Boolean(),
  lastUsedAt: optionalTime('Last used, to the minute'),
  lastAddress: Type.Union([Type.String(), Type.Null()], { description: 'Last used from' }),
});
export type TokenView = Static<typeof TokenView>;
export const TokenList = closed('TokenList', { items: Type.Array(TokenView) });

export const TokenDraft = closed('TokenDraft', {
  name: Type.String({ minLength: 1, maxLength: 100, description: 'What it is for' }),
  role,
  expiresAt: Type.Optional(time('Works until then; for ever if not given')),
});

export const TokenAdded = closed('TokenAdded', {
  token: TokenView,
  secret: Type.String({ description: '41 characters; it is not kept and cannot be shown again' }),
});
export type TokenAdded = Static<typeof TokenAdded>;

export const LockoutView = closed('Lockout', {
  kind: words(
    ['user-and-address', 'address', 'user', 'tokens'] as const,
    'Passwords of a user from an address; of anybody from an address; of a user from addresses that are new; unknown tokens from an address',
  ),
  mail: Type.Union([Type.String(), Type.Null()]),
  address: Type.Union([Type.String(), Type.Null()], { description: 'An IPv6 address counts with its /64' }),
  failures: count('In a row'),
  lastFailureAt: time('Last failure'),
  until: time('The next attempt is taken from then on'),
});
export type LockoutView = Static<typeof LockoutView>;
export const LockoutList = closed('LockoutList', { items: Type.Array(LockoutView) });
export const LockoutQuery = Type.Object(
  {
    mail: Type.Optional(Type.String({ maxLength: MAX_MAIL_LENGTH, description: 'Those of this user' })),
    address: Type.Optional(Type.String({ maxLength: 100, description: 'Those of this address' })),
  },
  { additionalProperties: false },
);
export const Cleared = closed('Cleared', { lockouts: count('Cleared') });
