/**
 * Why a host is graded and blocked, or not: what the configuration says of it, what was seen, what is missing for a block, and
 * which lists have it.
 *
 * It asks the policy and the lists as they are and only finds the words: it must never come to a verdict of its own. Pure, but
 * for the lists, which the caller renders.
 */

import type { Config } from '../config/schema.ts';
import { checkPolicy } from '../detect/policy-check.ts';
import { RogueSmtpError } from '../errors.ts';
import { type AddressBytes, formatAddress, isIPv4, parseAddress } from '../flow/address.ts';
import { GRADES, type Incident } from '../messages/alert.ts';
import { splitSite } from '../messages/host-at-site.ts';
import type { BlockRow } from '../publish/desk.ts';

export interface Explanation {
  readonly host: string;
  /** '' outside of every site, and where none was named and no incident is known. */
  readonly site: string;
  /** One sentence: the answer. */
  readonly summary: string;
  /** What the configuration says of mail from this host, with the key that says so. */
  readonly policy: readonly { readonly text: string; readonly key: string }[];
  /** The newest incident; null where there is none. */
  readonly incident: Pick<
    Incident,
    | 'incident_id'
    | 'state'
    | 'grade'
    | 'flags'
    | 'reasons'
    | 'missing'
    | 'sessions'
    | 'attempts'
    | 'last_seen'
  > | null;
  readonly block: Incident['block'] | null;
  /** What stands between the host and a block, the most general first; empty when it is blocked. */
  readonly lacks: readonly string[];
  /** Lists of `acl.targets` of its IP version; `reason`: why it is not in one. */
  readonly lists: readonly { readonly list: string; readonly has: boolean; readonly reason: string }[];
  /** Commands that go on from here. */
  readonly next: readonly string[];
}

export interface ExplainedHost {
  /** As it was asked for: `HOST` or `HOST@SITE`. */
  readonly asked: string;
  /** Its newest incident, if any. */
  readonly incident: Incident | null;
  /** Its row among the blocks; null where it has none, undefined where nobody knows (no running instance). */
  readonly row: BlockRow | null | undefined;
  /** Of each list that it may be in: why the host is left out, or null when it is not. */
  readonly lists: readonly { readonly list: string; readonly leftOut: string | null }[];
}

/** A server outside that mail of any host may go to, where no incident names a real one (RFC 5737, RFC 3849). */
const SOME_SERVER = { 4: '198.51.100.25', 6: '2001:db8:ffff::25' } as const;

/** The address of a host as it is written. Throws RogueSmtpError `usage` for what is no address. */
export function explainedAddress(asked: string): AddressBytes {
  const address = parseAddress(splitSite(asked).host);
  if (address === null)
    throw new RogueSmtpError('usage', `"${asked.slice(0, 64)}" is not an address such as 192.0.2.55`);
  return address;
}

/** Throws RogueSmtpError `usage` for what is no address. */
export function explainHost(config: Config, explained: ExplainedHost, nowMs: number): Explanation {
  const { incident, row, lists } = explained;
  const source = explainedAddress(explained.asked);
  const host = formatAddress(source);
  const site = incident?.site ?? splitSite(explained.asked).site ?? '';
  const at = site === '' ? host : `${host}@${site}`;
  const isKnownSite = config.networks.sites.some(({ name }) => name === site);
  const server = incident?.destinations.top[0]?.address ?? SOME_SERVER[isIPv4(source) ? 4 : 6];
  const { outcome, reasons } = checkPolicy(config, {
    source,
    destination: parseAddress(server) ?? source,
    port: config.detection.ports[0] ?? 25,
    nowMs,
    ...(isKnownSite && { site }),
  });
  const isListed = row?.listed === true;
  const block = incident?.block ?? row?.block ?? null;
  const lacks = isListed ? [] : whatIsMissing(config, explained, outcome, at);
  return {
    host,
    site,
    summary: summaryOf(at, incident, block, isListed, outcome),
    policy: reasons
      .filter(({ path }) => path[0] !== 'detection' || path[1] !== 'ports')
      .map(({ text, path }) => ({ text, key: path.join('.') })),
    incident:
      incident === null
        ? null
        : {
            incident_id: incident.incident_id,
            state: incident.state,
            grade: incident.grade,
            flags: incident.flags,
            reasons: incident.reasons,
            missing: incident.missing,
            sessions: incident.sessions,
            attempts: incident.attempts,
            last_seen: incident.last_seen,
          },
    block,
    lacks,
    lists: lists.map(({ list, leftOut }) => ({
      list,
      has: isListed && leftOut === null,
      reason: leftOut ?? (isListed ? '' : 'the host is not blocked'),
    })),
    next: [
      ...(incident === null ? [] : [`rogue-smtp incident ${incident.incident_id}`]),
      ...(row?.waiting === true
        ? [`rogue-smtp acl approve ${at}`, `rogue-smtp acl reject ${at} --reason TEXT`]
        : []),
      ...(isListed ? [`rogue-smtp acl release ${at} --for 24h --reason TEXT`] : []),
    ],
  };
}

type Outcome = ReturnType<typeof checkPolicy>['outcome'];

function summaryOf(
  at: string,
  incident: Incident | null,
  block: Incident['block'] | null,
  isListed: boolean,
  outcome: Outcome,
): string {
  if (isListed) return `${at} is blocked on port 25.`;
  const blocked =
    block === null || block.state === 'none' ? 'not blocked' : `not in the lists (block ${block.state})`;
  if (incident !== null)
    return `${at} has ${incident.state === 'open' ? 'an open' : 'a closed'} incident of grade ${incident.grade} and is ${blocked}.`;
  return `${at} has no incident${NO_INCIDENT[outcome]}.`;
}

const NO_INCIDENT: Readonly<Record<Outcome, string>> = {
  authorised: ', and it may send mail',
  ignored: ', and none can arise: its mail is not looked at',
  expected: ': it may do what is declared of it, and nothing more was seen',
  offence: ': it may not send mail, and no attempt was seen',
  alert_only: ': it may not send mail, and no attempt was seen; it can never be blocked',
};

function whatIsMissing(
  config: Config,
  { incident, row }: ExplainedHost,
  outcome: Outcome,
  at: string,
): string[] {
  const { block, senders } = config;
  const lines: string[] = [];
  if (senders.length === 0) lines.push('no senders are configured, so no host is ever blocked');
  if (block.mode === 'observe') lines.push('block.mode is observe: nothing gets into a list');
  if (outcome === 'authorised') lines.push('the configuration allows it to send');
  if (outcome === 'alert_only')
    lines.push('the configuration keeps it from ever being blocked, see the policy');
  if (incident === null) return [...lines, 'there is no evidence against it'];
  if (incident.state === 'closed') lines.push('its incident is closed');
  if (GRADES.indexOf(incident.grade) < GRADES.indexOf(block.grade))
    lines.push(`its grade ${incident.grade} is below block.grade (${block.grade})`);
  if (!incident.ports.includes(25))
    lines.push('it was seen on other ports than 25, and lists deny port 25 only');
  if (incident.block.reason !== '' && incident.block.state !== 'published')
    lines.push(`block ${incident.block.state}: ${incident.block.reason}`);
  if (row?.pending)
    lines.push(`${row.pending.by} said ${row.pending.action}, which no detector has acted on yet`);
  if (row?.held_since)
    lines.push(`it came with too many others at once and is held back since ${row.held_since}`);
  if (row?.waiting === true) lines.push(`a person must approve it: rogue-smtp acl approve ${at}`);
  if (row === undefined)
    lines.push('no running instance answers, so it is not known what waits for approval');
  return lines;
}
