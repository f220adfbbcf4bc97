/**
 * BIRD 2: FlowSpec routes as a static protocol with a table of its own, to be included.
 *
 * A reconfiguration is checked as a whole and only changes what is different. The BGP protocol that exports the table is
 * the operator's.
 */

import { type AclModel, BLOCKED_PORT } from '../model.ts';
import { revisionOf } from '../revision.ts';
import { artefact } from './artefact.ts';
import { FLOWSPEC_LIMITS, FLOWSPEC_PLACE, flowspecHosts } from './flowspec.ts';

/** Traffic-rate 0 (RFC 8955 section 7.1): drop. */
const DISCARD = 'bgp_ext_community.add((generic, 0x80060000, 0x0));';

/** Throws RogueSmtpError `refused` for a policy. */
export function renderBird(model: AclModel): string {
  const flow = `flow${model.family}`;
  const table = `rogue_smtp_${flow}`;
  const protocol = model.family === '4' ? 'proto' : 'next header';
  const body = [
    `${flow} table ${table};`,
    `protocol static rogue_smtp_offenders${model.family} {`,
    `\t${flow} { table ${table}; };`,
    ...flowspecHosts(model).flatMap(({ prefix, remark }) => [
      ...(remark === '' ? [] : [`\t# ${remark}`]),
      `\troute ${flow} { src ${prefix}; ${protocol} = 6; dport = ${BLOCKED_PORT}; } { ${DISCARD} };`,
    ]),
    '}',
  ];
  const revision = revisionOf(body.join('\n'));
  const guide = {
    place: FLOWSPEC_PLACE,
    apply: [
      `once, in bird.conf: include "FILE"; and in the protocol of the router: ${flow} { table ${table}; import none; export all; };`,
      'birdc configure check && birdc "configure timeout 300"',
      'birdc configure confirm                (after the check, within five minutes)',
    ],
    verify: [`birdc show route table ${table}`],
    rollback: ['birdc configure undo, or put the file before in its place and "birdc configure"'],
    limits: FLOWSPEC_LIMITS,
    unverified: 'BIRD 2.0.12 parses it in the tests; no router has dropped a packet by it.',
  };
  return artefact('#', model, revision, guide, body);
}
