/** What the session is kept under among the queries. */
export const SESSION_KEY = ['session'] as const;
