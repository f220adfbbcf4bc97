/**
 * What a forwarding status (IE 89, RFC 7270 section 4.12) says of a flow, and when "dropped" means that it is denied.
 */

/**
 * Dropped for a reason that holds for the whole flow: not told, an access list (129, 130), no route or neighbour (131, 132),
 * a source that may not come from there (140). All others cost a flow some packets: too large (133), damaged (134 to 136),
 * expired (137), too much at once (138, 139), taken by the router itself (141); or are faults of the router (142, 143), or
 * numbers that nobody has defined.
 */
const DENIALS: ReadonlySet<number> = new Set([128, 129, 130, 131, 132, 140]);

/** Whether this status says that the flow is not let through. */
export function isDenial(status: number): boolean {
  return DENIALS.has(status);
}
