/**
 * Hosts that count as one: with `detection.ipv6_group: 64` all addresses of an IPv6 /64 are one host with one incident,
 * since a host with privacy addresses (RFC 8981) takes a new one as it likes.
 *
 * It only says who belongs together; what each address did is in members.ts. IPv4 addresses are always hosts.
 */

import type { Config } from '../config/schema.ts';
import { isIPv4 } from '../flow/address.ts';
import { GROUP_BYTES } from './members.ts';
import type { Sighting } from './screen.ts';

/** 16 bytes in a place of their own or in that of a record; shows another host after the next question. */
interface HostBytes {
  bytes: Uint8Array;
  at: number;
}

export interface HostGroups {
  /** True when the client of the sighting is one of a group. */
  isGrouped(s: Sighting): boolean;
  /** The address that stands for the host of the sighting: its client's, or the first of the group. */
  hostOf(s: Sighting): HostBytes;
  /** The same for any address. */
  of(bytes: Uint8Array, at: number): HostBytes;
}

export function createHostGroups(group: Config['detection']['ipv6_group']): HostGroups {
  const network = new Uint8Array(16);
  const host: HostBytes = { bytes: network, at: 0 };

  function of(bytes: Uint8Array, at: number): HostBytes {
    host.bytes = bytes;
    host.at = at;
    if (group === 128 || isIPv4(bytes, at)) return host;
    for (let i = 0; i < GROUP_BYTES; i++) network[i] = bytes[at + i];
    host.bytes = network;
    host.at = 0;
    return host;
  }

  return {
    isGrouped: (s) => group !== 128 && !isIPv4(s.client, s.clientAt),
    hostOf: (s) => of(s.client, s.clientAt),
    of,
  };
}
