/** For `--import`: a Node in which the optional npm package koffi is not installed. */

import { register } from 'node:module';

const HOOK = `export function resolve(specifier, context, next) {
  if (specifier === 'koffi') throw Object.assign(new Error('not installed'), { code: 'ERR_MODULE_NOT_FOUND' });
  return next(specifier, context);
}`;
register(`data:text/javascript,${encodeURIComponent(HOOK)}`);
