/**
 * The networks of the evaluation: from an office to a provider, clean and rough, with and without offenders.
 *
 * Each is a plain value; what its parts mean is said in generate/. Change one, and its figures in README.md are of
 * another network: write them anew.
 */

import type { Mix } from './generate/network.ts';
import type { Scenario } from './generate/traffic.ts';

const MINUTE = 60_000;
const DAY = 86_400_000;

/** Hosts around mail that every network has. */
function servers(scale: number): Mix {
  return {
    mail_server: 2 * scale,
    backup_mx: 1,
    smarthost: 1,
    app_server: 3 * scale,
    printer: 6 * scale,
    monitor: 1,
    unlisted_probe: 2 * scale,
    stray: 2 * scale,
    open_service: scale,
    spoofed: 3 * scale,
  };
}

function bots(scale: number): Mix {
  return {
    burst_bot: 2 * scale,
    steady_bot: 2 * scale,
    slow_bot: 3 * scale,
    snowshoe_bot: 8 * scale,
    refused_bot: scale,
    abused_device: scale,
    smarthost_bot: scale,
    syn_scanner: scale,
    banner_scanner: scale,
  };
}

export const SCENARIOS: readonly Scenario[] = [
  {
    name: 'office: 100 hosts, 1 day, sFlow',
    hosts: 100,
    hours: 24,
    mix: { ...servers(1), ...bots(1), privacy_bot: 2 },
    routers: [{ format: 'sflow' }],
    routing: 'all',
    activeTimeoutMs: MINUTE,
    clientPauseMs: 60 * MINUTE,
  },
  {
    name: 'campus: 3,000 hosts, 1 day, v5 in and out, 60 s',
    hosts: 3000,
    hours: 24,
    mix: { ...servers(3), ...bots(4) },
    routers: [{ format: 'v5', egress: true }],
    routing: 'all',
    activeTimeoutMs: MINUTE,
    clientPauseMs: 120 * MINUTE,
  },
  {
    name: 'enterprise: 20,000 hosts, 1 day, v9 and IPFIX, 30 min',
    hosts: 20_000,
    hours: 24,
    mix: { ...servers(8), ...bots(5), privacy_bot: 5 },
    routers: [{ format: 'v9', egress: true }, { format: 'ipfix' }, { format: 'v5' }],
    routing: 'all',
    activeTimeoutMs: 30 * MINUTE,
    clientPauseMs: 12 * 60 * MINUTE,
  },
  {
    name: 'rough: 5,000 hosts, 2 days, asymmetric, losses, skew, restarts',
    hosts: 5000,
    hours: 48,
    mix: { ...servers(3), ...bots(3), privacy_bot: 3 },
    routers: [
      { format: 'v9', skewMs: 3 * DAY, loss: 0.02, duplicates: 0.02, jitterMs: 400, restarts: [0.31, 0.62] },
      { format: 'ipfix', skewMs: -2 * DAY, loss: 0.02, duplicates: 0.02, jitterMs: 400, restarts: [0.5] },
      { format: 'v9', skewMs: 7 * MINUTE, loss: 0.02, duplicates: 0.02, jitterMs: 400, restarts: [0.4] },
    ],
    routing: 'asymmetric',
    blind: 0.05,
    activeTimeoutMs: MINUTE,
    clientPauseMs: 6 * 60 * MINUTE,
  },
  {
    name: 'provider: 100,000 hosts, 8 hours, IPFIX, 30 min',
    hosts: 100_000,
    hours: 8,
    mix: { ...servers(10), ...bots(10), snowshoe_bot: 300, privacy_bot: 10 },
    routers: [{ format: 'ipfix', loss: 0.001 }],
    routing: 'all',
    activeTimeoutMs: 30 * MINUTE,
    clientPauseMs: 24 * 60 * MINUTE,
  },
  {
    name: 'no offenders: 2,000 hosts, 1 day, scans and backscatter',
    hosts: 2000,
    hours: 24,
    mix: {
      ...servers(5),
      // Every innocent case of the mail lab once.
      unlisted_probe: 204,
      stray: 40,
      spoofed: 60,
      syn_scanner: 10,
      smarthost_bot: 5,
    },
    routers: [{ format: 'v5', egress: true }, { format: 'v9' }],
    routing: 'all',
    activeTimeoutMs: MINUTE,
    clientPauseMs: 120 * MINUTE,
  },
];

/** Smaller forms of all of them, for a run of under a minute. */
export const QUICK_SCENARIOS: readonly Scenario[] = SCENARIOS.map((scenario) => ({
  ...scenario,
  name: scenario.name.split(':')[0],
  hosts: Math.min(scenario.hosts, 500),
  hours: 3,
  mix: Object.fromEntries(
    Object.entries(scenario.mix).map(([role, count]) => [role, Math.ceil(count / (count > 20 ? 10 : 4))]),
  ),
}));

/** Those that the mail lab has captures of. */
export const SAMPLING_RATES = [1, 10, 100, 1000] as const;
export const QUICK_SAMPLING_RATES = [1, 100, 1000] as const;
