/**
 * The conversation with ExaBGP as one of its processes: announces and withdraws routes so that it has those of the list.
 *
 * One command at a time: the next one goes out when ExaBGP has answered, or after a while where it is told not to. So
 * nothing piles up before a reader that stopped, and what has changed meanwhile is never sent. Only what was announced
 * here, now or by an earlier run, is ever withdrawn; routes of others are not known.
 */

import { exabgpRoute } from '../acl/platforms/exabgp.ts';

export interface ExabgpFeedDependencies {
  /** Resolves when the line was taken; never blocks. */
  readonly send: (line: string) => Promise<void>;
  /** Keeps on disk what ExaBGP may have from now on. */
  readonly remember: (hosts: readonly string[]) => Promise<void>;
  readonly complain: (text: string) => void;
  /** How long an answer is waited for; ExaBGP gives none with `exabgp.api.ack` off. */
  readonly answerMs: number;
}

export interface ExabgpFeed {
  /** Hosts with their lengths that are to be announced from now on. */
  want(hosts: readonly string[]): void;
  /** A line of ExaBGP. */
  hear(line: string): void;
  /** Resolves when ExaBGP was told everything. */
  settled(): Promise<void>;
  readonly counters: { readonly announced: number; readonly withdrawn: number; readonly refused: number };
}

/** `earlier`: what an earlier run announced and ExaBGP may still have. */
export function createExabgpFeed(
  earlier: readonly string[],
  { send, remember, complain, answerMs }: ExabgpFeedDependencies,
): ExabgpFeed {
  const counters = { announced: 0, withdrawn: 0, refused: 0 };
  let wanted: ReadonlySet<string> | null = null;
  /** What this ExaBGP was told by us. */
  const told = new Set<string>();
  /** What it may have: told, or announced by an earlier run. */
  const maybe = new Set(earlier);
  /** Refused ones are not tried again until the list has changed. */
  const refused = new Set<string>();
  let answered: ((line: string) => void) | null = null;
  let working: Promise<void> | null = null;

  function next(): readonly ['announce' | 'withdraw', string] | null {
    if (wanted === null) return null;
    for (const host of maybe) if (!wanted.has(host)) return ['withdraw', host];
    for (const host of wanted) if (!told.has(host) && !refused.has(host)) return ['announce', host];
    return null;
  }

  async function work(): Promise<void> {
    for (let command = next(); command !== null; command = next()) {
      const [verb, host] = command;
      if (verb === 'announce' && wanted !== null && [...wanted].some((one) => !maybe.has(one))) {
        // What was begun must be known to the next run even when this one is cut off.
        for (const one of wanted) maybe.add(one);
        await remember([...maybe]);
      }
      const answer = waitForAnswer();
      await send(`${verb} ${exabgpRoute(host)}\n`);
      const failed = (await answer) === 'error';
      if (verb === 'announce') {
        if (failed) refused.add(host);
        else told.add(host);
      } else {
        // One that it does not know any more is gone as well.
        told.delete(host);
        maybe.delete(host);
      }
      if (failed && verb === 'announce') complain(`ExaBGP refuses the route of ${host}`);
      counters[failed ? 'refused' : verb === 'announce' ? 'announced' : 'withdrawn']++;
    }
    await remember([...maybe]);
  }

  function waitForAnswer(): Promise<string> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => answered?.(''), answerMs);
      answered = (line) => {
        clearTimeout(timer);
        answered = null;
        resolve(line);
      };
    });
  }

  function start(): void {
    working ??= work().finally(() => {
      working = null;
      if (next() !== null) start();
    });
    working.catch((error: unknown) => complain(String(error)));
  }

  return {
    counters,
    want(hosts) {
      wanted = new Set(hosts);
      refused.clear();
      if (next() !== null) start();
    },
    hear(line) {
      if (line === 'done' || line === 'error') answered?.(line);
    },
    async settled() {
      while (working !== null) await working;
    },
  };
}
