/**
 * The sentences at the top: what the state is, and how much of the network it is true for. Pure.
 *
 * They never say more than the records prove: "no host sends" is said only where routers export.
 */

import type { OverviewAnswer } from '../data/answers.ts';
import { count, duration, percent, plural } from './format.ts';

/** `alarm`: somebody sends and nothing stops it. `act`: something waits for a decision. */
type Mood = 'calm' | 'act' | 'alarm' | 'unknown';

export interface Statement {
  readonly text: string;
  readonly mood: Mood;
}

const isAre = (n: number): string => `${count(n)} ${n === 1 ? 'is' : 'are'}`;
const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

export function stateStatement(answer: OverviewAnswer): Statement {
  const { by_grade, open, blocked, waiting, passing, mode, coverage } = answer;
  if (coverage.exporters === 0 && open === 0)
    return { text: 'No router has exported anything yet, so nothing can be said.', mood: 'unknown' };
  const sending = (by_grade.conversed ?? 0) + (by_grade.bulk ?? 0);
  const other = open - sending;
  const also =
    other > 0 ? ` ${plural(other, sending > 0 ? 'other host' : 'host')} tried or only connected.` : '';
  const free = Math.max(0, sending - blocked - waiting - passing);
  const observed = mode === 'observe' ? ', because block.mode is observe' : '';
  const parts = [
    ...(blocked > 0 ? [`${isAre(blocked)} blocked`] : []),
    ...(passing > 0
      ? [`${count(passing)} still ${passing === 1 ? 'passes' : 'pass'} although in the lists`]
      : []),
    ...(waiting > 0 ? [`${count(waiting)} ${waiting === 1 ? 'waits' : 'wait'} for you`] : []),
    ...(free > 0 ? [`${isAre(free)} not blocked${observed}`] : []),
  ];
  const stopped = parts.length === 0 ? '' : ` ${capital(parts.join(', '))}.`;
  const mood = passing > 0 || free > 0 ? 'alarm' : waiting > 0 ? 'act' : 'calm';
  if (sending === 0 && coverage.reporting === 0)
    return {
      text: `No router reports at present. Until then no host sent mail without permission.${also}${stopped}`,
      mood: 'unknown',
    };
  if (sending === 0) return { text: `No host sends mail without permission.${also}${stopped}`, mood };
  return {
    text: `${plural(sending, 'host sends', 'hosts send')} mail without permission.${stopped}${also}`,
    mood,
  };
}

/** How far the first sentence is true: routers heard, what was lost, what is sampled. */
export function truthStatement({ coverage, senders }: OverviewAnswer): string {
  const { exporters, reporting, silent, sampled, loss, kernel_drops_last_hour, unread } = coverage;
  if (exporters === 0) return 'Nothing is known about the network until a router exports flow records.';
  const lost =
    loss === null ? 'losses are not known' : `${percent(loss, 1)} of records lost in the last hour`;
  const dropped = kernel_drops_last_hour ?? 0;
  const parts = [
    `True for ${count(reporting)} of ${plural(exporters, 'router')}`,
    lost,
    ...(dropped > 0 ? [`${plural(dropped, 'datagram')} dropped by this machine in the last hour`] : []),
    ...named(silent, ({ exporter, silent_s }) => `${exporter} is silent for ${duration(silent_s * 1000)}`),
    ...named(sampled, ({ exporter, rate }) => `${exporter} looks at 1 packet in ${count(rate)}`),
    ...named(unread, (exporter) => `${exporter} could not be read in full`),
  ];
  const none = senders === 0 ? ' No sender is declared, so nothing is ever blocked.' : '';
  return `${parts.join('; ')}.${none}`;
}

/** Two by name, the rest by number: a sentence, not a list. */
function named<One>(all: readonly One[], say: (one: One) => string): string[] {
  const NAMED = 2;
  const rest = all.length - NAMED;
  return [
    ...all.slice(0, NAMED).map(say),
    ...(rest > 0 ? [`so ${rest === 1 ? 'is' : 'are'} ${count(rest)} more`] : []),
  ];
}
