/**
 * What an sFlow agent says of a packet that it dropped, and when that is believed.
 *
 * Format 1 of the output interface says "dropped" and a reason: up to 255 a code of ICMP "destination unreachable", from
 * 256 on the list of the specification and of its extension for dropped packets. A mark is believed only when the reason
 * says that this flow is not let through. Agents set 256 ("unknown") on traffic that they forward (OVN), numbers that
 * nobody has defined say nothing, and a full queue or a packet that is too large costs a connection one packet, not its
 * existence.
 */

const FRAGMENTATION_NEEDED = 4;
const LAST_UNREACHABLE = 15;
const ACL = 258;
const BLACKHOLE_ROUTE = 269;

/** Whether this reason of output format 1 means that the flow is denied. */
export function believedDrop(reason: number): boolean {
  if (reason <= LAST_UNREACHABLE) return reason !== FRAGMENTATION_NEEDED;
  return reason === ACL || reason === BLACKHOLE_ROUTE;
}
