/**
 * What a model does to a connection: the interlocks' last look at a list before it is written.
 *
 * It judges the rules as the platforms do, by first match. It must not share code with build.ts, or the two would be
 * wrong together.
 */

import { type Prefix, prefixContains } from '../flow/prefix.ts';
import { type AclModel, BLOCKED_PORT } from './model.ts';

/** True when a TCP connection between these addresses (16 bytes each) to `port` is let through. */
export function permits(model: AclModel, source: Uint8Array, destination: Uint8Array, port: number): boolean {
  if (port !== BLOCKED_PORT) return true;
  for (const rule of model.rules) {
    if (matches(rule.source, source) && matches(rule.destination, destination)) {
      return rule.action === 'permit';
    }
  }
  return true;
}

function matches(prefix: Prefix | null, address: Uint8Array): boolean {
  return prefix === null || prefixContains(prefix, address);
}
