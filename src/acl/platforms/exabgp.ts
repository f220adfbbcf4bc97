/**
 * ExaBGP: FlowSpec routes in a template that the operator's neighbors inherit.
 *
 * On a reload ExaBGP compares old and new configuration and sends what has changed, so replacing the file and one signal is
 * the whole update. Who the neighbors are is not ours to say.
 */

import type { AclModel } from '../model.ts';
import { BLOCKED_PORT } from '../model.ts';
import { revisionOf } from '../revision.ts';
import { artefact } from './artefact.ts';
import { FLOWSPEC_LIMITS, FLOWSPEC_PLACE, flowspecHosts } from './flowspec.ts';

/** Throws RogueSmtpError `refused` for a policy. */
export function renderExabgp(model: AclModel): string {
  const template = `rogue-smtp-${model.family}`;
  const routes = flowspecHosts(model).flatMap(({ prefix, remark }) => [
    ...(remark === '' ? [] : [`\t\t\t# ${remark}`]),
    `\t\t\troute smtp-${prefix.replace(/[:.]/g, '-').replace(/\/\d+$/, '')} {`,
    `\t\t\t\tmatch { source ${prefix}; protocol tcp; destination-port =${BLOCKED_PORT}; }`,
    '\t\t\t\tthen { discard; }',
    '\t\t\t}',
  ]);
  const body = [
    'template {',
    `\tneighbor ${template} {`,
    // A template that says nothing at all is an error.
    ...(routes.length === 0 ? [`\t\tdescription "rogue-smtp";`] : ['\t\tflow {', ...routes, '\t\t}']),
    '\t}',
    '}',
  ];
  const revision = revisionOf(body.join('\n'));
  const family = `ipv${model.family} flow`;
  const guide = {
    place: FLOWSPEC_PLACE,
    apply: [
      `once, in a file of your own: neighbor <ROUTER> { inherit ${template}; family { ${family}; } ... }`,
      'cat FILE neighbors.conf > new.conf && exabgp --validate new.conf && mv new.conf exabgp.conf && kill -USR1 <PID>',
    ],
    verify: ['exabgpcli show adj-rib out extensive, and the FlowSpec table of a router'],
    rollback: ['put the file before in its place and send the signal again; or take "inherit" out'],
    limits: FLOWSPEC_LIMITS,
    unverified: 'ExaBGP 4.2.21 announces it to GoBGP in the tests; no router has dropped a packet by it.',
  };
  return artefact('#', model, revision, guide, body);
}
