/** CPU time and memory of processes, from /proc. Linux only. */

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** Of /proc/PID/stat (proc(5)), in ticks of 1/100 s. */
const PARENT = 1;
const USER_TIME = 11;
const SYSTEM_TIME = 12;
const TICKS_PER_SECOND = 100;

function statOf(pid: string): readonly number[] | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name in parentheses may hold anything.
    return text
      .slice(text.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number);
  } catch {
    return null;
  }
}

/** The process and its children. */
function processesOf(pid: number): readonly string[] {
  return readdirSync('/proc').filter(
    (entry) => /^\d+$/.test(entry) && (Number(entry) === pid || statOf(entry)?.[PARENT] === pid),
  );
}

/** Seconds of CPU that a process and its children have spent. */
export function cpuSecondsOf(pid: number): number {
  let ticks = 0;
  for (const each of processesOf(pid)) {
    const stat = statOf(each);
    if (stat !== null) ticks += stat[USER_TIME] + stat[SYSTEM_TIME];
  }
  return ticks / TICKS_PER_SECOND;
}

/** Bytes of memory that a process and its children had at most. */
export function peakMemoryOf(pid: number): number {
  return processesOf(pid).reduce((sum, each) => sum + peakOf(each), 0);
}

function peakOf(pid: string): number {
  try {
    const kibibytes = /^VmHWM:\s*(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1];
    return Number(kibibytes ?? 0) * 1024;
  } catch {
    return 0;
  }
}

/** Bytes that the files under a directory take on disk. */
export function diskBytesOf(directory: string): number {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .reduce((sum, entry) => {
      try {
        return sum + 512 * statSync(join(entry.parentPath, entry.name)).blocks;
      } catch {
        // Merged away meanwhile.
        return sum;
      }
    }, 0);
}
