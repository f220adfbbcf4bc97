/**
 * What every rendered list says about itself: purpose, place, and the commands to apply, verify and take it off.
 *
 * A list leaves this program as a file and is read by somebody who has nothing else. So the text never speaks of anything
 * but the list it stands in, carries no time (the same list must be the same bytes), and no text of a person or a flow.
 */

import { RogueSmtpError } from '../../errors.ts';
import { formatPrefix, type Prefix } from '../../flow/prefix.ts';
import { type AclModel, isHost, NEVER_BLOCKED, prefixBits } from '../model.ts';

/** Lines of text, without comment signs. */
export interface Guide {
  /** The IP versions that it speaks of; default: that of the model. */
  readonly families?: string;
  /** Where the list belongs. */
  readonly place: readonly string[];
  readonly apply: readonly string[];
  readonly verify: readonly string[];
  readonly rollback: readonly string[];
  /** Limits and traps of the platform. */
  readonly limits: readonly string[];
  /** Whether anything but our own reader has read the list. */
  readonly unverified: string;
}

export const INTERFACE_PLACEHOLDER = '<LAN-FACING-INTERFACE>';

/** For lists that belong to an interface. */
export const INBOUND: readonly string[] = [
  'Belongs INBOUND on the interface that faces the hosts, before NAT: elsewhere the source is not the host. Mail from',
  'the world to your mail server does not come in there, and its replies go to other ports.',
];

/** For lists of a router that forwards, whatever the interface, unless one is configured; or of what it sends itself. */
export function forwarding(model: AclModel): readonly string[] {
  if (model.own === true) return OWN_TRAFFIC;
  return [
    'For the router that forwards the traffic of the hosts; it sees their addresses before source NAT.',
    ...(model.interface === null
      ? [
          'No interface is configured ("interface" of the ACL target): it applies to what any interface takes in.',
        ]
      : []),
  ];
}

const PURPOSE = {
  policy: [
    'Lets the authorised senders (and mail to them) through to TCP port 25 and denies it to everyone else.',
    'Other traffic is not touched. It covers every offender.',
  ],
  own: [
    'Denies TCP port 25 to programs of this router itself, its own reports and alarms by mail among them, unless they speak to an',
    'authorised sender, or an address of this router is one. Other traffic is not touched.',
  ],
  offenders: [
    'Denies TCP port 25 to the hosts that were seen sending mail without being allowed to.',
    'Other traffic is not touched, all other ports of these hosts neither.',
  ],
} as const;

/** For lists of what a router sends itself. */
const OWN_TRAFFIC: readonly string[] = [
  'For what this router sends ITSELF (OUTPUT). What it forwards is for another list to judge. Loopback stays open.',
];

/** A policy by which nobody may send. */
export const isForNobody = ({ kind, rules }: AclModel): boolean =>
  kind === 'policy' && rules.every(({ action, remark }) => action === 'deny' || remark === NEVER_BLOCKED);

/** What a list is for: of a policy for nobody that there are no senders. */
export function purpose(model: AclModel): readonly string[] {
  if (!isForNobody(model)) return PURPOSE[model.own === true ? 'own' : model.kind];
  return [
    `NOBODY may send mail by IPv${model.family}: denies TCP port 25 to everyone, since no IPv${model.family} sender is configured`,
    'and "without_senders: deny" asks for it. Other traffic is not touched.',
  ];
}

/** A policy that lets somebody through who is no sender must not claim to deny everyone else. */
export function neverDenied({ rules }: AclModel): readonly string[] {
  const spared = rules.filter(({ action, remark }) => action === 'permit' && remark === NEVER_BLOCKED);
  return spared.length === 0
    ? []
    : [`Not denied either, although no sender: ${spared.length} host(s) or network(s) of block.never.`];
}

/** The lines of the guide; '' separates. */
export function guideLines(model: AclModel, revision: string, guide: Guide): readonly string[] {
  return [
    `rogue-smtp ${model.kind}, ${guide.families ?? `IPv${model.family}`}, revision ${revision}`,
    '',
    ...purpose(model),
    ...neverDenied(model),
    ...guide.place,
    '',
    ...labelled('apply:', guide.apply),
    ...labelled('verify:', guide.verify),
    ...labelled('rollback:', guide.rollback),
    ...labelled('limits:', guide.limits),
    `Not verified: ${guide.unverified}`,
    '',
  ];
}

function labelled(label: string, lines: readonly string[]): readonly string[] {
  return lines.map((line, i) => `${(i === 0 ? label : '').padEnd(9)} ${line}`);
}

/** `mark` begins a comment on the platform. */
export function comment(mark: string, lines: readonly string[]): readonly string[] {
  return lines.map((line) => `${mark} ${line}`.trimEnd());
}

/** Guide and body with `mark` as the comment sign; `first` are lines that must stand above it. */
export function artefact(
  mark: string,
  model: AclModel,
  revision: string,
  guide: Guide,
  body: readonly string[],
  first: readonly string[] = [],
): string {
  return `${[...first, ...comment(mark, guideLines(model, revision, guide)), ...body].join('\n')}\n`;
}

/** `OFFENDERS`, `POLICY6` and so on: the family is in the name, since platforms keep lists of both in one space. */
export function listName(model: AclModel): string {
  return `${kindName(model)}${model.family === '6' ? '6' : ''}`;
}

/** Of a list for both families: `SMTP-OFFENDERS`. */
export function kindName({ kind }: AclModel): string {
  return `SMTP-${kind.toUpperCase()}`;
}

/** With its length even when it is a host: `192.0.2.55/32`. */
export function cidr(prefix: Prefix): string {
  return isHost(prefix) ? `${formatPrefix(prefix)}/${prefixBits(prefix)}` : formatPrefix(prefix);
}

/** Throws RogueSmtpError `refused` for a policy. */
export function refusePolicy(model: AclModel, why: string): void {
  if (model.kind === 'policy') {
    throw new RogueSmtpError('refused', `a policy is refused on this platform: ${why}`);
  }
}

/** IFNAMSIZ less the final zero; Linux has no longer names. */
const MAX_LINUX_INTERFACE_NAME = 15;

/** Throws RogueSmtpError `refused` for an interface name that Linux cannot have. */
export function assertLinuxInterface({ interface: face }: AclModel): void {
  if (face !== null && face.length > MAX_LINUX_INTERFACE_NAME) {
    const limit = `names of interfaces have at most ${MAX_LINUX_INTERFACE_NAME} characters`;
    throw new RogueSmtpError('refused', `"${face}" is no interface of Linux: ${limit}`);
  }
}

/** `_lan0`, or '': a part of names, so that the lists of two interfaces live beside each other. */
export function interfaceSuffix({ interface: face }: AclModel, separator = '_'): string {
  return face === null ? '' : `${separator}${face.replace(/[^A-Za-z0-9]/g, '_')}`;
}
