/**
 * Whether the mail flows that came could be judged at all, in words.
 *
 * An exporter on the outside of a NAT, or `networks` of somewhere else, makes every flow one between strangers. Then an
 * empty list of offenders says nothing, and must not look like a clean network.
 */

import type { IgnoreReason } from './screen.ts';

export interface MailSight {
  /** Mail flows looked at: TCP records on a mail port. */
  readonly flows: number;
  /** Of them those that say nothing about a host, by reason; absent reasons are 0. */
  readonly ignored: Readonly<Partial<Record<IgnoreReason, number>>>;
  /** Clients of flows neither end of which is internal, the most frequent first. */
  readonly strangers: readonly string[];
}

export interface SightStatement {
  readonly lines: readonly string[];
  /** There was mail, and not one flow of it could be judged. */
  readonly isBlind: boolean;
}

/** A smaller part than this is the transit and the noise of any network. */
const WORTH_TELLING = 0.01;

const UNJUDGED: readonly (readonly [IgnoreReason, string])[] = [
  ['foreign', 'neither end is in networks.internal'],
  ['internal', 'both ends are in networks.internal (detection.internal.alert is off)'],
  ['spoofed', 'an internal source came in by an interface that faces the outside (networks.interfaces)'],
  ['ambiguous', 'nothing tells which end is the client'],
  ['implausible', 'the counts are impossible (records read with a wrong template?)'],
];

export function describeMailSight({ flows, ignored, strangers }: MailSight): SightStatement {
  if (flows === 0) return { lines: [], isBlind: false };
  const causes = UNJUDGED.map(([reason, text]) => ({ reason, text, count: ignored[reason] ?? 0 }));
  const unjudged = causes.reduce((sum, { count }) => sum + count, 0);
  const isBlind = unjudged >= flows;
  const told = causes.filter(
    ({ reason, count }) =>
      count > 0 && (isBlind || (reason !== 'internal' && count >= WORTH_TELLING * flows)),
  );
  const lines = told.map(({ text, count }) => `Not judged: ${count} of ${flows} mail flows: ${text}.`);
  if (told.some(({ reason }) => reason === 'foreign')) {
    const who = strangers.length === 0 ? '' : ` Most of them are of ${strangers.join(', ')}.`;
    lines.push(
      `${who} If these are your hosts, add them to networks.internal; if it is the address of your NAT, export on its inside or with post-NAT fields (IE 225 to 228).`.trimStart(),
    );
  }
  return {
    lines: isBlind
      ? ['Nothing could be judged: this says nothing about whether a host sends mail.', ...lines]
      : lines,
    isBlind,
  };
}
