/**
 * AWS network ACL: entries as the inputs of the EC2 API, in JSON.
 *
 * An entry compares one address only, the source on the way in. So there is no policy: it could not tell mail to our own
 * servers from mail to the world. The entries only deny and have the lowest numbers; everything else is left to the entries
 * that are there, since a permit of all from us would open what these closed.
 */

import { type AclModel, BLOCKED_PORT } from '../model.ts';
import { revisionOf } from '../revision.ts';
import { cidr, guideLines, refusePolicy } from './artefact.ts';

/**
 * Entries of each family. A network ACL has 20 in each direction, IPv4 and IPv6 together unless the quota was raised: this
 * leaves room for the permits and the two denials that are always there.
 */
export const AWS_NACL_ENTRIES = 8;
/** Rule numbers begin here; IPv6 has the numbers behind those of IPv4. */
const FIRST_NUMBER = { '4': 1, '6': 1 + AWS_NACL_ENTRIES } as const;

/** `interface` is the id of the network ACL. Throws RogueSmtpError `refused` for a policy. */
export function renderAwsNacl(model: AclModel): string {
  refusePolicy(
    model,
    'an entry of a network ACL compares only one address, so it cannot let mail to your own servers through and deny the ' +
      'rest. Allow port 25 by the egress rules of security groups, to the mail servers only',
  );
  const target = { NetworkAclId: model.interface ?? '<NETWORK-ACL-ID>', Egress: false };
  const first = FIRST_NUMBER[model.family];
  const entries = model.rules.flatMap(({ source }, i) =>
    source === null
      ? []
      : [
          {
            ...target,
            RuleNumber: first + i,
            Protocol: '6',
            RuleAction: 'deny',
            [model.family === '4' ? 'CidrBlock' : 'Ipv6CidrBlock']: cidr(source),
            PortRange: { From: BLOCKED_PORT, To: BLOCKED_PORT },
          },
        ],
  );
  const unused = Array.from({ length: AWS_NACL_ENTRIES - entries.length }, (_, i) => ({
    ...target,
    RuleNumber: first + entries.length + i,
  }));
  const revision = revisionOf(JSON.stringify([entries, unused]));
  const guide = {
    place: [
      'For the network ACL of the subnet that the traffic of the hosts enters on its way out: that of the NAT gateway or the',
      'firewall, not their own. A network ACL compares the source on the way in only, and sees nothing within a subnet.',
      ...(model.interface === null
        ? [
            'No network ACL is configured ("interface" of the ACL target): put its id in the place of <NETWORK-ACL-ID>.',
          ]
        : []),
    ],
    apply: [
      'jq -c ".entries[]" FILE | while read -r e; do aws ec2 replace-network-acl-entry --cli-input-json "$e" ||',
      '  aws ec2 create-network-acl-entry --cli-input-json "$e"; done',
      'jq -c ".unused[]" FILE | while read -r e; do aws ec2 delete-network-acl-entry --cli-input-json "$e"; done',
      '(what is not there cannot be deleted: no error. Add --dry-run to try)',
    ],
    verify: [`aws ec2 describe-network-acls --network-acl-ids ${target.NetworkAclId}`],
    rollback: [`delete the ingress entries ${first} to ${first + AWS_NACL_ENTRIES - 1}`],
    limits: [
      `It uses the ingress rule numbers ${first} to ${first + AWS_NACL_ENTRIES - 1}: yours must be higher.`,
      `No more than ${AWS_NACL_ENTRIES} hosts: the worst. Each entry is changed by itself; the ones before stay in force meanwhile.`,
      'EC2 blocks most outgoing mail on port 25 by itself unless that was lifted for the account.',
    ],
    unverified: 'no AWS account has taken it.',
  };
  const about = guideLines(model, revision, guide).filter((line) => line !== '');
  return `${JSON.stringify({ about, entries, unused }, null, 2)}\n`;
}
