/**
 * GoBGP: FlowSpec routes as a shell script for its command line.
 *
 * GoBGP has no file of static routes: they are added to the running daemon one by one. The script adds all of the list (an
 * addition of what is there changes nothing), then withdraws what it added before and is no longer listed, by a file of its
 * own: routes of others are never touched.
 */

import { type AclModel, BLOCKED_PORT } from '../model.ts';
import { revisionOf } from '../revision.ts';
import { artefact } from './artefact.ts';
import { FLOWSPEC_LIMITS, FLOWSPEC_PLACE, flowspecHosts } from './flowspec.ts';

/** Throws RogueSmtpError `refused` for a policy. */
export function renderGobgp(model: AclModel): string {
  const family = `ipv${model.family}-flowspec`;
  const rule = `match source "$1" protocol tcp destination-port '==${BLOCKED_PORT}' then discard`;
  const body = [
    'set -eu',
    `state=\${ROGUE_SMTP_STATE:-/var/lib/rogue-smtp-gobgp}/${family}`,
    `mkdir -p "\${state%/*}"`,
    'touch "$state"',
    'cat > "$state.new" <<\'HOSTS\'',
    ...flowspecHosts(model).map(({ prefix }) => prefix),
    'HOSTS',
    `add() { gobgp global rib add -a ${family} ${rule}; }`,
    `del() { gobgp global rib del -a ${family} ${rule}; }`,
    // What was begun must be known to the next run even when this one is cut off.
    'sort -u "$state" "$state.new" > "$state.all" && mv "$state.all" "$state"',
    'while read -r host; do add "$host"; done < "$state.new"',
    'grep -vxFf "$state.new" "$state" | while read -r host; do del "$host"; done',
    'mv "$state.new" "$state"',
  ];
  const revision = revisionOf(body.join('\n'));
  const guide = {
    place: FLOWSPEC_PLACE,
    apply: [
      'sh FILE                                (on the machine of gobgpd, again after gobgpd was restarted)',
    ],
    verify: [`gobgp global rib -a ${family}`],
    rollback: [`apply an empty list, or: gobgp global rib del all -a ${family}   (routes of others too)`],
    limits: FLOWSPEC_LIMITS,
    unverified: 'GoBGP 3.10 takes it in the tests; no router has dropped a packet by it.',
  };
  return artefact('#', model, revision, guide, body, ['#!/bin/sh']);
}
