/**
 * Findings: what is no incident of a host and still worth a look. An internal host that takes mail from outside without
 * being a declared mail server, and an authorised server whose destinations jump against its own past.
 *
 * Pure functions of what the store counted. A finding is an alert and nothing else: it must never lead to a block, since
 * the one may be a forgotten mail server and the other is a server that everybody needs.
 */

import type { DetectionConfig } from '../config/schema.ts';
import type { Alert } from '../messages/alert.ts';
import { hostlessAlert } from '../messages/hostless-alert.ts';

/** An internal host that answered SMTP sessions from outside. Times in milliseconds. */
export interface InboundHost {
  readonly host: string;
  /** '' outside of every site. */
  readonly site: string;
  readonly sessions: number;
  readonly sources: number;
  readonly firstMs: number;
}

/** How many servers outside an authorised host talked to on port 25 in an hour. Hours without any are left out. */
export interface SenderHour {
  readonly host: string;
  readonly site: string;
  readonly hourMs: number;
  readonly destinations: number;
}

export interface FindingContext {
  readonly policyVersion: string;
  readonly nowMs: number;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** `isSender`: the policy names the host as a sender. One finding a host and day. */
export function inboundFindings(
  hosts: readonly InboundHost[],
  config: DetectionConfig['inbound'],
  isSender: (host: string, site: string) => boolean,
  context: FindingContext,
): Alert[] {
  return hosts
    .filter(({ host, site, sources }) => sources >= config.sources && !isSender(host, site))
    .map(({ host, site, sessions, sources, firstMs }) =>
      finding('open_relay_candidate', { host, site }, firstMs, sessions, sources, context, [
        `${host} answered ${sessions} SMTP sessions from ${sources} hosts outside and is no configured sender: an open relay, or a mail server that nobody declared`,
      ]),
    );
}

/**
 * Compares the newest hour of each host with its own past: the hour is a surge when it has at least `min_destinations`
 * and `factor` times the 95th percentile of the hours before. A host with a past of fewer than `history` hours is left
 * alone: there is nothing to compare with.
 */
export function surgeFindings(
  hours: readonly SenderHour[],
  config: DetectionConfig['baseline'],
  context: FindingContext,
): Alert[] {
  const byHost = new Map<string, SenderHour[]>();
  for (const hour of hours) {
    const key = `${hour.site}|${hour.host}`;
    byHost.set(key, [...(byHost.get(key) ?? []), hour]);
  }
  const currentMs = Math.floor(context.nowMs / HOUR_MS) * HOUR_MS;
  return [...byHost.values()].flatMap((ofHost) => {
    // The hour before counts as now too: its end is seen only when it is over.
    const recent = ofHost.filter(({ hourMs }) => hourMs >= currentMs - HOUR_MS);
    const past = ofHost.filter(({ hourMs }) => hourMs < currentMs - HOUR_MS);
    const most = recent.reduce<SenderHour | null>(
      (top, hour) => (top === null || hour.destinations > top.destinations ? hour : top),
      null,
    );
    if (most === null || past.length < config.history) return [];
    const usual = percentile95(past.map(({ destinations }) => destinations));
    if (most.destinations < Math.max(config.min_destinations, config.factor * usual)) return [];
    return [
      finding('destination_surge', most, most.hourMs, 0, most.destinations, context, [
        `the authorised sender ${most.host} talked to ${most.destinations} servers within the hour of ${new Date(most.hourMs).toISOString()}; in 95 % of ${past.length} hours before it was at most ${usual}`,
        'an account or a form on it may be abused; it is never blocked for this',
      ]),
    ];
  });
}

function percentile95(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(0.95 * sorted.length) - 1)];
}

function finding(
  type: NonNullable<Alert['finding']>['type'],
  { host, site }: Pick<SenderHour, 'host' | 'site'>,
  sinceMs: number,
  sessions: number,
  destinations: number,
  { policyVersion, nowMs }: FindingContext,
  reasons: string[],
): Alert {
  return {
    ...hostlessAlert({
      kind: 'finding',
      // Told once a day: what goes on for weeks should not be forgotten, nor fill the page.
      identity: [type, host, Math.floor(nowMs / DAY_MS), ...(site === '' ? [] : [site])],
      sinceMs,
      nowMs,
      reasons,
      policy_version: policyVersion,
    }),
    host,
    site,
    sessions,
    destinations: { count: type === 'destination_surge' ? destinations : 0, exact: true, top: [] },
    ports: [25],
    block: { state: 'none', reason: 'a finding never leads to a block', since: null, until: null },
    finding: { type },
  };
}
