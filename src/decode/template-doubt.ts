/**
 * Whose layout it is, when a template comes again with other fields under the id of one that is in use.
 *
 * RFC 7011 section 8.1 and RFC 3954 section 9 allow that only after a withdrawal or a restart, and both are seen elsewhere.
 * What is left is an exporter that was given another configuration, or a second exporter behind the same address and port
 * (NAT, a relay), whose numbers do not tell it apart. Records of one layout read with the other can blame an innocent
 * host, so they wait until it is known which of the two it is:
 * - the layout of before does not come again although it is overdue, or
 * - every number since then was the one that was due, for longer than the exporter used to pause: nobody else sends.
 * Until the layout of before is overdue, only data with the number that is due waits, or is read. All else is dropped and
 * counted, and so is everything under the id once the layout changes again meanwhile: two exporters use it. Data in a
 * datagram that brings its template itself is always read.
 */

import type { ExportProcess } from './export-process.ts';
import type { Template, TemplateDoubt } from './template.ts';

/** A layout comes again at least so often: Cisco's default for v9. Used where it came only once so far. */
const USUAL_GAP_MS = 1_800_000;
/** Two exporters with one id: for so long only one of the layouts must come. Arista's default interval. */
const CONTESTED_MS = 3_600_000;
/** Missed twice, it does not come any more. Layouts that come more often than once a minute are not told from each other sooner. */
const MISSED = 2;
const MIN_GAP_MS = 60_000;
/** Datagrams in a row whose numbers were due. */
const LEAST_RUN = 4;
/** So many times the usual pause between two datagrams, and at least this long where two exporters were seen. */
const PAUSES = 4;
const CONTESTED_RUN_MS = 120_000;

/**
 * The doubt about a layout that takes the place of `known` in `process` at `nowMs`. Null when it is to be believed: the
 * former one is of before this process was heard (an earlier run of ours), or is overdue.
 */
export function doubtOf(known: Template, process: ExportProcess, nowMs: number): TemplateDoubt | null {
  const { doubt, seenMs, gapMs } = known;
  if (seenMs < process.firstSeenMs) return null;
  const isContested = doubt !== null && nowMs < doubt.overdueMs;
  const usual = gapMs === 0 ? USUAL_GAP_MS : MISSED * Math.max(MIN_GAP_MS, gapMs);
  const overdueMs = seenMs + (isContested ? CONTESTED_MS : Math.min(CONTESTED_MS, usual));
  if (nowMs >= overdueMs) return null;
  const pauseMs = (nowMs - process.firstSeenMs) / Math.max(1, process.datagrams - 1);
  return {
    isContested,
    overdueMs,
    runMs: Math.max(PAUSES * pauseMs, isContested ? CONTESTED_RUN_MS : 0),
    datagrams: process.datagrams,
    sinceMs: nowMs,
    isOnTrial: false,
  };
}

/** The same layout came again: the run of numbers begins here, if it was broken since the layout came last. */
export function confirmLayout(doubt: TemplateDoubt, process: ExportProcess, nowMs: number): void {
  if (process.lastMisfit <= doubt.datagrams) return;
  doubt.datagrams = process.datagrams;
  doubt.sinceMs = nowMs;
}

/** Whether the numbers went on without a gap since the layout came, so that nobody else can have sent. */
export function isProvenByNumbers(doubt: TemplateDoubt, process: ExportProcess, nowMs: number): boolean {
  const { sequence, lastMisfit, datagrams } = process;
  return (
    sequence?.isProven === true &&
    sequence.counting !== 'nothing' &&
    lastMisfit <= doubt.datagrams &&
    datagrams - doubt.datagrams >= LEAST_RUN &&
    nowMs - doubt.sinceMs >= doubt.runMs
  );
}
