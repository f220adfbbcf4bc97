/**
 * Parts of kafkajs that it does not export, for the few places where it cannot be used as it is.
 *
 * They belong to one version. Another one may be built otherwise: it is left alone, and whoever asks is told why.
 */

import { createRequire } from 'node:module';
import { messageOf } from '../../errors.ts';

const KNOWN_VERSION = '2.2.4';

/** Either what the file of the library exports, or why it cannot be had, in words. */
export type Internal = { readonly found: unknown } | { readonly reason: string };

/** `path`: of a file within the package, without its ending. */
export function internalOf(path: string): Internal {
  const require = createRequire(import.meta.url);
  try {
    const { version }: { version: unknown } = require('kafkajs/package.json');
    if (version !== KNOWN_VERSION) return { reason: `kafkajs ${String(version)} is not ${KNOWN_VERSION}` };
    return { found: require(`kafkajs/${path}`) };
  } catch (error) {
    return { reason: messageOf(error) };
  }
}

/** The prototype of a class of the library, if it has the method. */
export function prototypeWith<Shape extends object>(
  internal: Internal,
  isShape: (prototype: object) => prototype is Shape,
): { readonly prototype: Shape } | { readonly reason: string } {
  if ('reason' in internal) return internal;
  const prototype: unknown = typeof internal.found === 'function' ? internal.found.prototype : null;
  return typeof prototype === 'object' && prototype !== null && isShape(prototype)
    ? { prototype }
    : { reason: 'kafkajs is built otherwise' };
}
