/** What a client of the HTTP API may do. Each role may also do what those before it may. */

/** `read` sees everything; `decide` also decides about blocks; `admin` also reloads the configuration. */
export const ROLES = ['read', 'decide', 'admin'] as const;
export type Role = (typeof ROLES)[number];

/** The name of the one token of `http.token`, which everybody shares. */
export const SHARED_TOKEN = 'token';
