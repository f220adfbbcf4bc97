/** The ACL platforms and kinds by name, as users write them. */

export const ACL_PLATFORMS = [
  'cisco-ios',
  'cisco-iosxr',
  'cisco-nxos',
  'cisco-asa',
  'junos',
  'arista-eos',
  'nokia-sros',
  'huawei-vrp',
  'mikrotik',
  'vyos',
  'nftables',
  'iptables',
  'pf',
  'fortios',
  'panos',
  'aws-nacl',
  'openconfig',
  'exabgp',
  'gobgp',
  'bird',
] as const;
export type AclPlatform = (typeof ACL_PLATFORMS)[number];

/** The forms in which a platform reads the same list. */
export const ACL_FORMS = ['set', 'hierarchical'] as const;
export type AclForm = (typeof ACL_FORMS)[number];

/** Platforms that read more than one form; the first is the default. */
const FORMS_OF: Readonly<Partial<Record<AclPlatform, readonly AclForm[]>>> = {
  junos: ['set', 'hierarchical'],
};

/** Why a platform has no such form, or null when it has it. */
export function whyNotForm(platform: AclPlatform, form: AclForm): string | null {
  const forms = FORMS_OF[platform];
  if (forms?.includes(form)) return null;
  const others = Object.keys(FORMS_OF).join(', ');
  return `there is no form "${form}" of lists for ${platform}: only ${others} can be had in another form`;
}

/** `deny`: a policy for an IP version of which no sender is configured says that nobody may send; else it is refused. */
export const WITHOUT_SENDERS = ['refuse', 'deny'] as const;
export type WithoutSenders = (typeof WITHOUT_SENDERS)[number];

/** Whose traffic a list judges: what the router forwards, or what it sends itself (OUTPUT). */
export const ACL_TRAFFIC = ['forwarded', 'own'] as const;
export type AclTraffic = (typeof ACL_TRAFFIC)[number];

/** Those whose own traffic passes a hook of its own, which can tell it from what is forwarded after NAT. */
const OWN_TRAFFIC: readonly AclPlatform[] = ['nftables', 'iptables'];

const UNSAID = 'what it makes itself does not pass the lists of its interfaces';
const FORWARDING_RULES = 'its rules are for what is forwarded';

/** Why the others have none, as far as there is more to say than that. */
const OWN_ELSEWHERE: Readonly<Partial<Record<AclPlatform, string>>> = {
  pf: 'its rules for outgoing packets see the addresses after NAT, where the mail server behind it looks like itself',
  mikrotik: 'its chain "output" is left to your own rules',
  vyos: 'its "output" filter is left to your own rules',
  'aws-nacl': 'it stands before subnets, and sends nothing itself',
  exabgp: FORWARDING_RULES,
  gobgp: FORWARDING_RULES,
  bird: FORWARDING_RULES,
};

/** Why there is no list of the router's own traffic, or null where there is one. */
export function whyNotOwnTraffic(target: {
  readonly platform: AclPlatform;
  readonly kind: AclKind;
  readonly interface?: string | undefined;
}): string | null {
  if (!OWN_TRAFFIC.includes(target.platform))
    return `there is no list of the router's own traffic for ${target.platform} (${OWN_ELSEWHERE[target.platform] ?? UNSAID}): only for ${OWN_TRAFFIC.join(', ')}`;
  if (target.kind !== 'policy') return "a list of the router's own traffic is of kind policy only";
  if (target.interface !== undefined)
    return "a list of the router's own traffic has no interface: what the router sends comes in by none";
  return null;
}

/** `policy`: the authorised senders may, everyone else may not. `offenders`: the listed hosts may not. */
export const ACL_KINDS = ['policy', 'offenders'] as const;
export type AclKind = (typeof ACL_KINDS)[number];
