/**
 * The routers and this machine, as far as the configuration names them: hosts that no list may ever cut off.
 *
 * An exporter that is named by its address is a router, so a gateway of somebody; a block of it, or of the collector
 * itself, would blind what finds offenders. Prefixes of exporters say no such thing of each address in them.
 */

import type { Config } from '../config/schema.ts';
import { parseAddress } from '../flow/address.ts';
import type { Prefix } from '../flow/prefix.ts';

/** Single addresses, without those that stand for all of a machine's (0.0.0.0, ::). */
export function ownHosts({ collector, http }: Pick<Config, 'collector' | 'http'>): readonly Prefix[] {
  const listening = [...collector.listen, http.listen].flatMap(({ host }): Prefix[] => {
    const bytes = parseAddress(host);
    return bytes === null || host === '0.0.0.0' || host === '::' ? [] : [{ bytes, length: 128 }];
  });
  const loopback = (bytes: Uint8Array) =>
    bytes[12] === 127 || bytes.subarray(0, 15).every((byte) => byte === 0);
  return [
    ...collector.exporters.filter(({ length }) => length === 128),
    // Never an internal host that could be blocked: not worth a word in the policy.
    ...listening.filter(({ bytes }) => !loopback(bytes)),
  ];
}
