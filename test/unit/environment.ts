/**
 * The environment of a program under test, before its own settings: nothing of what the developer's
 * shell has, but the way to programs, and the cache that spares every start its compiling.
 */
const { PATH = '', NODE_COMPILE_CACHE = '' } = process.env;

export const BARE_ENVIRONMENT: Readonly<Record<string, string>> = { PATH, NODE_COMPILE_CACHE };
