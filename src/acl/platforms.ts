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

/** `policy`: the authorised senders may, everyone else may not. `offenders`: the listed hosts may not. */
export const ACL_KINDS = ['policy', 'offenders'] as const;
export type AclKind = (typeof ACL_KINDS)[number];
