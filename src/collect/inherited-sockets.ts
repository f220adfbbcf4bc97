/**
 * Sockets that systemd opened for us (sd_listen_fds(3)): so that ports below 1024 need no privilege, and a restart loses
 * nothing, since the kernel goes on to queue.
 */

/** Passed descriptors begin behind stdin, stdout and stderr. */
const FIRST_FD = 3;
/** A sane unit passes a few. */
const MAX_FDS = 256;

export interface InheritedSocket {
  readonly fd: number;
  /** FileDescriptorName= of the socket unit; by default the name of the unit. */
  readonly name: string;
}

/** What the environment says was passed to this very process; empty when it was meant for another one. */
export function inheritedSockets(
  environment: Readonly<Record<string, string | undefined>>,
  pid: number,
): InheritedSocket[] {
  if (environment.LISTEN_PID !== String(pid)) return [];
  const count = Number(environment.LISTEN_FDS);
  if (!Number.isInteger(count) || count < 1 || count > MAX_FDS) return [];
  const names = (environment.LISTEN_FDNAMES ?? '').split(':');
  return Array.from({ length: count }, (_, i) => ({
    fd: FIRST_FD + i,
    name: names[i] || `fd ${FIRST_FD + i}`,
  }));
}
