/** The ACL platforms and kinds by name, as users write them. */

export const ACL_PLATFORMS = ['cisco-ios', 'nftables'] as const;
export type AclPlatform = (typeof ACL_PLATFORMS)[number];

/** `policy`: the authorised senders may, everyone else may not. `offenders`: the listed hosts may not. */
export const ACL_KINDS = ['policy', 'offenders'] as const;
export type AclKind = (typeof ACL_KINDS)[number];
