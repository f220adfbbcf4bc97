/**
 * What the hosts of the mail lab do, one case a host.
 *
 * A case is a command of the shell that runs a few times. Its environment: $T the server's address ($H in brackets when
 * it is IPv6), $SRC the host's own, $N the number of the run, $W a directory of the case, $L this directory, and what
 * programs.ts finds: $PYTHON, $NODE, $NODE_PQ, $NODEMAILER, $GO_MAILER.
 */

import { createHash } from 'node:crypto';
import { authorised } from './cases/agents.ts';
import { type Case, makeCase } from './cases/case.ts';
import { certificateChecks } from './cases/certificate-checks.ts';
import { delivering } from './cases/delivering.ts';
import { handmade } from './cases/handmade.ts';
import { monitoring } from './cases/monitoring.ts';
import { refused } from './cases/refused.ts';
import { scanners } from './cases/scanners.ts';
import { verifiers } from './cases/verifiers.ts';

const cases: Case[] = [];
const families = [
  monitoring,
  certificateChecks,
  scanners,
  verifiers,
  handmade,
  refused,
  delivering,
  authorised,
];
for (const family of families) family((...of) => cases.push(makeCase(...of)));

/** In a fixed order: a case's address follows from its place. */
export const CASES: readonly Case[] = cases;

/** A third of the cases, by their names alone: nobody sets a bound by what they show. */
export function isHeldOut(name: string): boolean {
  return createHash('sha256').update(name).digest()[0] % 3 === 0;
}

export function caseAddress(index: number): string {
  const { family } = CASES[index];
  return family === 6
    ? `2001:db8:77::${(index + 0x100).toString(16)}`
    : `10.77.${1 + Math.floor(index / 200)}.${10 + (index % 200)}`;
}

/** One case in nine, by its name: those that are sampled for long. */
export function isLong(name: string): boolean {
  return createHash('sha256').update(name).digest()[1] % 9 === 0;
}
