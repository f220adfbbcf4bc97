/**
 * Network namespaces for a lab, and what runs in them. Needs root.
 *
 * The names are of this process alone, so that labs can run side by side. Everything is torn down by `close`, also after
 * a failure; what a killed run left behind, the next one removes.
 */

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { atExit } from '../support/at-exit.ts';
import { launch, type Running } from './launch.ts';

const FIXTURES = new URL('../fixtures/', import.meta.url).pathname;
/** The two ends of SMTP sessions, for python3. */
export const SMTP_CLIENT = join(FIXTURES, 'smtp-client.py');
export const SMTP_SERVER = join(FIXTURES, 'smtp-server.py');

/** Of every name; then comes the letter of the lab and our process id. */
const PREFIX = 'rs';

export interface Namespaces<Place extends string> {
  /** What all names of the lab begin with: ten characters at most, which leaves five for those of devices. */
  readonly id: string;
  /** A directory that goes with the lab. */
  readonly directory: string;
  /** As `ip netns` has it. */
  name(place: Place): string;
  /** Runs to the end and gives stdout; throws when it fails. */
  run(place: Place, command: string, ...args: string[]): string;
  /** Runs beside the test. */
  start(place: Place | 'here', command: string, ...args: string[]): Running;
  close(): Promise<void>;
}

export function ip(...args: string[]): string {
  return execFileSync('ip', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

/** One namespace for each place, with its loopback up and nothing else; `letter` tells the kinds of lab apart. */
export function openNamespaces<Place extends string>(
  letter: string,
  places: readonly Place[],
): Namespaces<Place> {
  removeAbandoned();
  const id = `${PREFIX}${letter}${process.pid}`;
  const name = (place: Place) => `${id}-${place}`;
  const inside = (place: Place, command: string, args: readonly string[]) => [
    'netns',
    'exec',
    name(place),
    command,
    ...args,
  ];
  const started: Running[] = [];
  // When the process exits with an error that no test sees, nobody calls close.
  const remove = () => {
    for (const place of places) removeNamespace(name(place));
  };
  const forget = atExit(remove);
  const directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-e2e-'));
  for (const place of places) {
    ip('netns', 'add', name(place));
    ip('-n', name(place), 'link', 'set', 'lo', 'up');
  }
  return {
    id,
    directory,
    name,
    run: (place, command, ...args) =>
      execFileSync('ip', inside(place, command, args), { encoding: 'utf8', timeout: 60_000 }),
    start(place, command, ...args) {
      const running = place === 'here' ? launch(command, args) : launch('ip', inside(place, command, args));
      started.push(running);
      return running;
    },
    async close() {
      await Promise.all(started.map((running) => running.stop()));
      remove();
      forget();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Ends what still runs in it, and with it go its links to this machine. */
function removeNamespace(name: string): void {
  try {
    for (const pid of ip('netns', 'pids', name).split('\n').filter(Boolean))
      process.kill(Number(pid), 'SIGKILL');
  } catch {
    // It was never made, or the process has just ended by itself.
  }
  try {
    ip('netns', 'del', name);
  } catch {
    // It was never made.
  }
}

/** Labs whose process is gone: a test run that was killed. */
function removeAbandoned(): void {
  for (const line of ip('netns', 'list').split('\n')) {
    const match = new RegExp(`^(${PREFIX}[a-z](\\d+)-\\w+)`).exec(line);
    if (match !== null && !isAlive(Number(match[2]))) removeNamespace(match[1]);
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
