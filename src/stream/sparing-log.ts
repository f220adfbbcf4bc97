/**
 * A log that says the same thing at most once a minute, with how often it would have been said in between.
 *
 * While a broker is away every part that needs it tries again, every second or so: a handful of lines a minute says as much
 * as a thousand. What is said for the first time, or about something else, is said at once.
 */

import type { StreamLogger } from './local/settings.ts';

const PAUSE_MS = 60_000;
/** Different things that are remembered. */
const MOST = 500;

interface Said {
  readonly atMs: number;
  again: number;
}

/** `now` in milliseconds, of which only differences count. */
export function createSparingLog(
  log: StreamLogger,
  now: () => number = () => performance.now(),
): StreamLogger {
  const said = new Map<string, Said>();

  function sparing(level: keyof StreamLogger) {
    return (fields: object, message: string): void => {
      const about = `${message} ${subjectOf(fields)}`;
      const known = said.get(about);
      if (known !== undefined && now() - known.atMs < PAUSE_MS) {
        known.again++;
        return;
      }
      if (said.size >= MOST) said.clear();
      said.set(about, { atMs: now(), again: 0 });
      const again = known?.again ?? 0;
      log[level](again === 0 ? fields : { ...fields, again }, message);
    };
  }

  return { info: sparing('info'), warn: sparing('warn'), error: sparing('error') };
}

/** What a line is about: who and where, not figures, which differ each time. */
function subjectOf(fields: object): string {
  return Object.entries(fields)
    .filter(([name]) => SUBJECTS.has(name))
    .map(([, value]) => String(value))
    .join(' ');
}

const SUBJECTS = new Set(['stream', 'group', 'groupId', 'topic', 'partition', 'from', 'story']);
