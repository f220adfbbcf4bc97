/**
 * ExaBGP: FlowSpec routes in a template that the operator's neighbors inherit.
 *
 * On a reload ExaBGP compares old and new configuration and sends what has changed, so replacing the file and one signal is
 * the whole update. Who the neighbors are is not ours to say.
 */

import { parsePrefix } from '../../flow/prefix.ts';
import { type AclModel, BLOCKED_PORT, isHost } from '../model.ts';
import { revisionOf } from '../revision.ts';
import { artefact } from './artefact.ts';
import { FLOWSPEC_LIMITS, FLOWSPEC_PLACE, flowspecHosts } from './flowspec.ts';

const THEN = 'discard;';
const matchOf = (prefix: string) => `source ${prefix}; protocol tcp; destination-port =${BLOCKED_PORT};`;

/** A route as a command of ExaBGP's text API takes it; `prefix` is a host with its length. */
export function exabgpRoute(prefix: string): string {
  return `flow route { match { ${matchOf(prefix)} } then { ${THEN} } }`;
}

const FIRST_LINE = /^# rogue-smtp offenders, IPv[46], revision [0-9a-f]{8}\n/;
const LAST_LINES = /\n\t\}\n\}\n$/;

/**
 * The hosts with their lengths (`192.0.2.55/32`) of a list that `renderExabgp` made. Null for any other text, and for a
 * part of one: what is not understood must not be taken for an empty list.
 */
export function exabgpHosts(text: string): readonly string[] | null {
  if (!FIRST_LINE.test(text) || !LAST_LINES.test(text)) return null;
  const hosts: string[] = [];
  for (const line of text.split('\n')) {
    if (!line.trimStart().startsWith('match ')) continue;
    const prefix = /\{ source (\S+);/.exec(line)?.[1];
    const parsed = prefix === undefined ? null : parsePrefix(prefix);
    if (prefix === undefined || parsed === null || !parsed.ok || !isHost(parsed.prefix)) return null;
    if (line.trim() !== `match { ${matchOf(prefix)} }`) return null;
    hosts.push(prefix);
  }
  return hosts;
}

/** Throws RogueSmtpError `refused` for a policy. */
export function renderExabgp(model: AclModel): string {
  const template = `rogue-smtp-${model.family}`;
  const routes = flowspecHosts(model).flatMap(({ prefix, remark }) => [
    ...(remark === '' ? [] : [`\t\t\t# ${remark}`]),
    `\t\t\troute smtp-${prefix.replace(/[:.]/g, '-').replace(/\/\d+$/, '')} {`,
    `\t\t\t\tmatch { ${matchOf(prefix)} }`,
    `\t\t\t\tthen { ${THEN} }`,
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
