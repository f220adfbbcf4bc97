/** Whether datagrams can be received in batches here, for tests of that way; REQUIRE_ALL turns a lack into a failure. */

import { loadUdpCalls, type UdpCalls } from '../../src/collect/udp-socket.ts';

const loaded = await loadUdpCalls();
if (typeof loaded === 'string' && process.env.REQUIRE_ALL === '1' && process.platform === 'linux')
  throw new Error(`REQUIRE_ALL is set, but datagrams cannot be received in batches: ${loaded}`);

/** In words what stands against it; null when nothing does. */
export const batchObstacle: string | null = typeof loaded === 'string' ? loaded : null;

/** Call only where there is no obstacle. */
export function udpCalls(): UdpCalls {
  if (typeof loaded === 'string') throw new Error(loaded);
  return loaded;
}
