/**
 * Two policies over the same mail flows, and what would be different: incidents, and lines of the access lists.
 *
 * Both run through detectors of their own, from the first flow to the last, with the clock of the flows; nothing is
 * read or written besides. So the difference is due to the policies alone, not to when a detector was started.
 */

import { buildAcl } from '../acl/build.ts';
import { ACL_FAMILIES, type AclRule } from '../acl/model.ts';
import { ACL_KINDS, type AclKind } from '../acl/platforms.ts';
import type { Config } from '../config/schema.ts';
import { createDetector, type Detector } from '../detect/detector.ts';
import { sightOfFile } from '../detect/detector-state.ts';
import { compilePolicy } from '../detect/policy.ts';
import { RogueSmtpError } from '../errors.ts';
import { type FlowBatch, readWide } from '../flow/batch.ts';
import { formatPrefix, type Prefix } from '../flow/prefix.ts';
import type { Grade, Incident } from '../messages/alert.ts';
import { aclInputOf, blockedOf } from '../publish/acl-request.ts';

/** An incident as far as it matters here. */
export interface IncidentSide {
  readonly state: 'open' | 'closed';
  readonly grade: Grade;
  readonly sessions: number;
  readonly block: string;
  readonly reason: string;
}

/** A host whose newest incident differs; null where it has none. */
interface IncidentDifference {
  readonly host: string;
  readonly site: string;
  readonly before: IncidentSide | null;
  readonly after: IncidentSide | null;
}

export interface AclDifference {
  readonly kind: AclKind;
  readonly family: '4' | '6';
  /** Lines in the words of Cisco IOS, without numbers. */
  readonly added: readonly string[];
  readonly removed: readonly string[];
  /** Why there is no such list under the policy; null when there is. */
  readonly refused: { readonly before: string | null; readonly after: string | null };
}

export interface WhatIf {
  readonly flows: number;
  /** Receive times of the first and the last flow; null without any. */
  readonly from: string | null;
  readonly to: string | null;
  readonly policy: { readonly before: string; readonly after: string };
  readonly incidents: { readonly before: number; readonly after: number };
  readonly changed: readonly IncidentDifference[];
  readonly acl: readonly AclDifference[];
}

interface Side {
  readonly config: Config;
  readonly version: string;
  readonly detector: Detector;
  readonly newest: Map<string, Incident>;
}

export async function whatIf(
  flows: AsyncIterable<FlowBatch>,
  before: Config,
  after: Config,
): Promise<WhatIf> {
  const sides = { before: sideOf(before), after: sideOf(after) };
  let count = 0;
  let firstMs: number | null = null;
  let lastMs = 0;
  for await (const batch of flows) {
    firstMs ??= readWide(batch.columns.received_at, 0);
    lastMs = Math.max(lastMs, readWide(batch.columns.received_at, batch.length - 1));
    for (const side of [sides.before, sides.after]) {
      side.detector.observe(batch, { partition: 0, offset: count });
      keep(side, side.detector.take().incidents);
    }
    count += batch.length;
  }
  for (const side of [sides.before, sides.after]) {
    side.detector.advance(lastMs);
    side.detector.finish();
    keep(side, side.detector.take().incidents);
    keep(side, side.detector.openIncidents());
  }
  return {
    flows: count,
    from: firstMs === null ? null : new Date(firstMs).toISOString(),
    to: firstMs === null ? null : new Date(lastMs).toISOString(),
    policy: { before: sides.before.version, after: sides.after.version },
    incidents: { before: sides.before.newest.size, after: sides.after.newest.size },
    changed: incidentDifferences(sides.before.newest, sides.after.newest),
    acl: aclDifferences(sides.before, sides.after, lastMs),
  };
}

function sideOf(config: Config): Side {
  const policy = compilePolicy(config);
  return {
    config,
    version: policy.version,
    detector: createDetector({ policy, detection: config.detection, block: config.block }, sightOfFile()),
    newest: new Map(),
  };
}

function keep({ newest }: Side, incidents: readonly Incident[]): void {
  for (const incident of incidents) newest.set(`${incident.site}|${incident.host}`, incident);
}

function incidentDifferences(
  before: ReadonlyMap<string, Incident>,
  after: ReadonlyMap<string, Incident>,
): IncidentDifference[] {
  const keys = [...new Set([...before.keys(), ...after.keys()])].sort();
  return keys.flatMap((key) => {
    const [a, b] = [before.get(key), after.get(key)];
    const known = b ?? a;
    if (known === undefined || (a !== undefined && b !== undefined && isSame(a, b))) return [];
    return [{ host: known.host, site: known.site, before: factsOf(a), after: factsOf(b) }];
  });
}

/** Counts that differ while grade, state and block are the same are no reason to look twice. */
function isSame(a: Incident, b: Incident): boolean {
  return a.state === b.state && a.grade === b.grade && a.block.state === b.block.state;
}

function factsOf(incident: Incident | undefined): IncidentSide | null {
  if (incident === undefined) return null;
  const { state, grade, sessions, block } = incident;
  return { state, grade, sessions, block: block.state, reason: block.reason };
}

/** Of the kinds that the targets of either side ask for, or of both kinds where there are no targets. */
function aclDifferences(before: Side, after: Side, nowMs: number): AclDifference[] {
  const asked = [...before.config.acl.targets, ...after.config.acl.targets].map(({ kind }) => kind);
  const kinds = ACL_KINDS.filter((kind) => asked.length === 0 || asked.includes(kind));
  const differences: AclDifference[] = [];
  for (const kind of kinds) {
    for (const family of ACL_FAMILIES) {
      const [a, b] = [before, after].map((side) => linesOf(side, kind, family, nowMs));
      differences.push({
        kind,
        family,
        added: without(b.lines, a.lines),
        removed: without(a.lines, b.lines),
        refused: { before: a.refused, after: b.refused },
      });
    }
  }
  return differences;
}

function without(lines: readonly string[], others: readonly string[]): string[] {
  const known = new Set(others);
  return lines.filter((line) => !known.has(line));
}

function linesOf(
  { config, newest }: Side,
  kind: AclKind,
  family: '4' | '6',
  nowMs: number,
): { readonly lines: readonly string[]; readonly refused: string | null } {
  try {
    const { model } = buildAcl({
      kind,
      family,
      ...aclInputOf(config, blockedOf(config, [...newest.values()], nowMs), nowMs),
    });
    return { lines: model.rules.map(lineOf), refused: null };
  } catch (error) {
    if (!(error instanceof RogueSmtpError && error.code === 'refused')) throw error;
    return { lines: [], refused: error.message };
  }
}

const lineOf = ({ action, source, destination }: AclRule) =>
  `${action} tcp ${endOf(source)} ${endOf(destination)} eq 25`;

function endOf(prefix: Prefix | null): string {
  if (prefix === null) return 'any';
  return prefix.length === 128 ? `host ${formatPrefix(prefix)}` : formatPrefix(prefix);
}
