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

/** `policy`: the authorised senders may, everyone else may not. `offenders`: the listed hosts may not. */
export const ACL_KINDS = ['policy', 'offenders'] as const;
export type AclKind = (typeof ACL_KINDS)[number];
