/**
 * Lets V8 wait longer before it collects the whole heap, as long as little is alive in it.
 *
 * Node hands over every datagram in memory of its own outside the heap, and V8 counts that as growth of the heap, which
 * it allows in proportion to what is alive. A collector keeps some 25 MiB alive: at 67,000 datagrams a second V8 walked
 * through all of it six times a second, a seventh of the process's time, with pauses in which a small receive buffer
 * runs over. So the proportion is chosen such that the growth is of one size, `ALLOWANCE` bytes. What has much alive is
 * left to V8: there a proportion that is larger than its own would cost memory and win nothing.
 */

import { clearInterval, setInterval } from 'node:timers';
import { getHeapStatistics, setFlagsFromString } from 'node:v8';

/** Bytes by which the heap may grow between two collections, where V8 by itself would allow less. */
const ALLOWANCE = 128 * 1024 * 1024;
/** V8's own choice is at least about so much; a flag of 0 leaves it the choice. */
const LEAST_PERCENT = 50;
const MOST_PERCENT = 800;
const LOOK_MS = 1000;

/**
 * By how many percent of `usedBytes` the heap may grow; 0: as V8 thinks best. Halves from step to step, so that it
 * seldom changes.
 */
export function growthPercent(usedBytes: number): number {
  for (let percent = MOST_PERCENT; percent >= LEAST_PERCENT; percent /= 2)
    if ((usedBytes * percent) / 100 <= ALLOWANCE) return percent;
  return 0;
}

/** From now on, for the whole process, until the function that is returned is called. */
export function allowHeapGrowth(): () => void {
  let set = 0;
  const choose = (percent: number) => {
    if (percent !== set) setFlagsFromString(`--heap-growing-percent=${percent}`);
    set = percent;
  };
  // What is used includes garbage, so that the growth allowed is rather too small than too large.
  const look = () => choose(growthPercent(getHeapStatistics().used_heap_size));
  look();
  const timer = setInterval(look, LOOK_MS);
  timer.unref();
  return () => {
    clearInterval(timer);
    choose(0);
  };
}
