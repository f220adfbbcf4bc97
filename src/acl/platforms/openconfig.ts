/**
 * OpenConfig ACL (openconfig-acl) as JSON in the encoding of RFC 7951, for gNMI or RESTCONF.
 *
 * JSON has no comments, so what a list says about itself stands in `about`, beside the data; `jq 'del(.about)'` takes it off.
 * Entries are asked by sequence-id. What no entry takes is for the device to decide, so the last one accepts.
 */

import { type AclModel, type AclRule, BLOCKED_PORT } from '../model.ts';
import { revisionOf } from '../revision.ts';
import { cidr, guideLines, INBOUND, INTERFACE_PLACEHOLDER, listName } from './artefact.ts';

const STEP = 10;

/** Without an interface the list is bound to nothing. */
export function renderOpenConfig(model: AclModel): string {
  const type = `openconfig-acl:ACL_IPV${model.family}`;
  const entries = [
    ...model.rules.map((rule, i) => entry((i + 1) * STEP, rule, model)),
    {
      'sequence-id': (model.rules.length + 1) * STEP,
      config: { 'sequence-id': (model.rules.length + 1) * STEP, description: 'all other traffic' },
      actions: { config: { 'forwarding-action': 'openconfig-acl:ACCEPT' } },
    },
  ];
  const revision = revisionOf(JSON.stringify([model.interface, entries]));
  const name = `${listName(model)}-${revision}`;
  const set = { 'set-name': name, type };
  const acl = {
    'acl-sets': {
      'acl-set': [{ name, type, config: { name, type }, 'acl-entries': { 'acl-entry': entries } }],
    },
    ...(model.interface === null
      ? {}
      : {
          interfaces: {
            interface: [
              {
                id: model.interface,
                config: { id: model.interface },
                'interface-ref': { config: interfaceRef(model.interface) },
                'ingress-acl-sets': { 'ingress-acl-set': [{ ...set, config: set }] },
              },
            ],
          },
        }),
  };
  const guide = {
    place: INBOUND,
    apply: ["jq 'del(.about)' FILE > acl.json", 'gnmic -a ROUTER set --update-path / --update-file acl.json'],
    verify: [`gnmic -a ROUTER get --path '/acl/acl-sets/acl-set[name=${name}]'`],
    rollback: [
      `gnmic -a ROUTER set --delete '/acl/interfaces/interface[id=${model.interface ?? INTERFACE_PLACEHOLDER}]/ingress-acl-sets/ingress-acl-set[set-name=${name}]'`,
    ],
    limits: [
      'One gNMI Set is one transaction. A new revision has a new name: delete the binding of the list before in the same',
      'Set where the device does not replace it, and the list before afterwards.',
      'Not every device that speaks OpenConfig takes ACLs by it, or IPv6 ones.',
    ],
    unverified: 'no device has read it.',
  };
  const about = guideLines(model, revision, guide).filter((line) => line !== '');
  return `${JSON.stringify({ about, 'openconfig-acl:acl': acl }, null, 2)}\n`;
}

/** `eth0.10` is subinterface 10 of eth0. */
function interfaceRef(face: string): { interface: string; subinterface: number } {
  const parts = /^(.+)\.(\d{1,9})$/.exec(face);
  return parts === null
    ? { interface: face, subinterface: 0 }
    : { interface: parts[1], subinterface: Number(parts[2]) };
}

function entry(sequence: number, { action, source, destination, remark }: AclRule, { family }: AclModel) {
  return {
    'sequence-id': sequence,
    config: { 'sequence-id': sequence, ...(remark === '' ? {} : { description: remark }) },
    [`ipv${family}`]: {
      config: {
        ...(source === null ? {} : { 'source-address': cidr(source) }),
        ...(destination === null ? {} : { 'destination-address': cidr(destination) }),
        protocol: 'openconfig-packet-match-types:IP_TCP',
      },
    },
    transport: { config: { 'destination-port': BLOCKED_PORT } },
    actions: { config: { 'forwarding-action': `openconfig-acl:${action === 'permit' ? 'ACCEPT' : 'DROP'}` } },
  };
}
