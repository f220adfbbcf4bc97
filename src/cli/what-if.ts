/**
 * `rogue-smtp replay --from-store --policy FILE`: what a changed policy would have made of the mail flows that are kept.
 *
 * A table for people, JSON for scripts. It only reads: the flows by read-only SQL, from a running instance or the store.
 */

import { mailPorts } from '../collect/decoder-options.ts';
import type { LoadedConfig } from '../config/load.ts';
import type { Config } from '../config/schema.ts';
import { RogueSmtpError } from '../errors.ts';
import { type AclDifference, type IncidentSide, type WhatIf, whatIf } from '../replay/what-if.ts';
import { storedFlows } from '../store/stored-flows.ts';
import { withModel } from './model.ts';
import type { ReportStreams } from './reports.ts';
import { formatTable, printable } from './table.ts';

interface WhatIfFlags {
  /** ISO 8601. */
  readonly since?: string;
  readonly until?: string;
  readonly json?: boolean;
}

/** `changed`: the configuration with the other policy. Throws RogueSmtpError `usage` for a time that is none. */
export async function whatIfCommand(
  loaded: LoadedConfig,
  changed: LoadedConfig,
  flags: WhatIfFlags,
  streams: ReportStreams,
): Promise<void> {
  const before = loaded.config;
  const after = policyOf(before, changed.config);
  const request = {
    ports: [...new Set([...mailPorts(before), ...mailPorts(after)])],
    fromMs: timeOf(flags.since),
    untilMs: timeOf(flags.until),
  };
  await withModel(loaded, async (model) => {
    const flows = storedFlows((sql, format) => model.query({ sql, format }), request);
    const result = await whatIf(flows, before, after);
    streams.stdout.write(flags.json ? `${JSON.stringify(result)}\n` : describeWhatIf(result));
    if (result.flows === 0)
      streams.stderr.write('No mail flows are kept for this time: nothing was compared.\n');
  });
}

/** What another file says about policy, in the surroundings of this one. */
function policyOf(
  { missingLists: _lists, missingNames: _names, ...surroundings }: Config,
  { networks, senders, expected, detection, block, acl, missingLists, missingNames }: Config,
): Config {
  return {
    ...surroundings,
    networks,
    senders,
    expected,
    detection,
    block,
    acl,
    ...(missingLists !== undefined && { missingLists }),
    ...(missingNames !== undefined && { missingNames }),
  };
}

function timeOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const ms = Date.parse(text);
  if (Number.isNaN(ms))
    throw new RogueSmtpError('usage', `"${text}" is no time such as 2027-03-01T00:00:00Z`);
  return ms;
}

function describeWhatIf(result: WhatIf): string {
  const { flows, from, to, policy, incidents, changed, acl } = result;
  const lines = [
    `${flows} mail flows${from === null ? '' : `, ${from} to ${to}`}; policy ${policy.before} -> ${policy.after}`,
    `Hosts with an incident: ${incidents.before} -> ${incidents.after}`,
    '',
  ];
  const hosts =
    changed.length === 0
      ? 'No incident would be different.\n'
      : formatTable(
          [
            { title: 'HOST', value: ({ host }) => host },
            { title: 'SITE', value: ({ site }) => site },
            { title: 'BEFORE', value: ({ before }) => factsText(before) },
            { title: 'AFTER', value: ({ after }) => factsText(after) },
            { title: 'WHY', value: ({ after }) => after?.reason ?? '' },
          ],
          changed,
        );
  return `${lines.join('\n')}${hosts}\n${acl.map(aclText).join('')}`;
}

const factsText = (side: IncidentSide | null) =>
  side === null ? '-' : `${side.state}, ${side.grade}, ${side.sessions} sessions, ${side.block}`;

function aclText({ kind, family, added, removed, refused }: AclDifference): string {
  const title = `ACL, ${kind}, IPv${family}`;
  const reasons = [
    ...(refused.before === null ? [] : [`  before: ${refused.before}`]),
    ...(refused.after === null ? [] : [`  after: ${refused.after}`]),
  ];
  const lines = [...removed.map((line) => `  - ${line}`), ...added.map((line) => `  + ${line}`)];
  const body = [...reasons, ...lines].map((line) => `${printable(line)}\n`).join('');
  return `${title}: ${lines.length === 0 ? 'no line would be different' : `${removed.length} lines go, ${added.length} come`}\n${body}`;
}
