/**
 * The block of each host over its life: decided, refreshed while the host goes on, watched for its effect, ended, and
 * brought in line with what people decide and with the policy of today.
 *
 * The rules are in block.ts and block-effect.ts, this is their bookkeeping: every change of a block goes through here, so
 * that the ledger, the counters and the messages agree. It must never make a block stand that the rules refuse.
 */

import type { Decision } from '../messages/decision.ts';
import { isNo, reachesStep } from './after-no.ts';
import {
  BLOCK_PORT,
  type BlockDecision,
  blockInterlock,
  blockTtlMs,
  decideBlock,
  HELD_FOR_RATE,
  isByHand,
  isStanding,
  type Ruling,
  rulingInForce,
  standingDecision,
} from './block.ts';
import { judgeRecord, newEffect, noteEvidence, noteSilence, paceOf } from './block-effect.ts';
import type { CaseBlock } from './case-tables.ts';
import type { DetectorState } from './detector-state.ts';
import { actsAsServer, holdReason, serverReason, unseenSenders } from './holds.ts';
import type { Host } from './host-table.ts';
import { noMessages } from './message-test.ts';
import type { Outbox } from './outbox.ts';
import { noSamples } from './sampled-dialogue.ts';
import type { Sighting } from './screen.ts';

/** While a host goes on, the end of its block is moved on so often within the life of a block. */
const BLOCK_REFRESHES = 8;

export interface Blocks {
  /** Takes account of the block of a host that was restored. */
  restored(host: Host, atMs: number): void;
  /** Looks at the block again after a record. True when its state changed. */
  reconsider(host: Host, s: Sighting, eventMs: number): boolean;
  /** Decides as if there were no block yet. True when the state changed. */
  decideAnew(host: Host, eventMs: number): boolean;
  /** Whether what came shows that the block works. True when that is news. */
  watch(host: Host, s: Sighting, eventMs: number): boolean;
  /** Looks whether a host goes on, or gets worse, after a person's no. True when that is news. */
  watchAfterNo(host: Host): boolean;
  /** The life of the block is over. */
  end(host: Host, atMs: number): void;
  /** Nothing got through for so long: said aloud only where it did before. */
  judgeSilence(host: Host, atMs: number): void;
  /** What is known so far counts for no block: one needs evidence that comes from now on. */
  forgetEvidence(host: Host): void;
  /** Takes back what nobody approved, of a host that is probably a mail server, or where the wrong ones are declared. True when the state changed. */
  hold(host: Host, atMs: number): boolean;
  /** Takes a block back that the policy refuses now. True when the state changed. */
  refuse(host: Host, reason: string, atMs: number): boolean;
  /** A block that the configuration of today would not give is taken back at once. True when something changed. */
  applyPolicy(host: Host, atMs: number): boolean;
  /**
   * Brings a host in line with a decision about it that has just come, or that was found at a restart. True when that
   * changed its block.
   */
  applyDecision(host: Host): boolean;
}

/** How much evidence there is against a host, for who gets room first: by grade, then by sessions. */
const strengthOf = ({ file }: Host): number =>
  file.solidGrade * 2 ** 40 + Math.min(file.sessions, 2 ** 40 - 1);

/** `decisions`: the newest decision about each host, by host key. */
export function createBlocks(
  state: DetectorState,
  outbox: Outbox,
  decisions: ReadonlyMap<string, Decision>,
): Blocks {
  const { ledger, standing, counters } = state;
  const { vantagePoints } = state.tables;

  /** True when the state changed. */
  function decideAnew(host: Host, eventMs: number): boolean {
    const { file } = host;
    const { block } = file;
    const ruling = rulingOf(host, eventMs);
    const decision = decideBlock(state.block, {
      grade: file.grade,
      solidGrade: file.solidGrade,
      records: file.records,
      datagrams: file.datagrams,
      bulkEnvelopes: file.bulkEnvelopes,
      scanning: file.scanning && file.scanDatagrams >= 2,
      halfSeen: file.halfSessions > 0,
      denied: file.deniedSessions > 0,
      neverBlocked: state.policy.isNeverBlocked(host.bytes, 0),
      natPool: state.policy.isNatPool(host.bytes, 0),
      isSender: state.policy.sendsAnywhere(host.bytes, 0, eventMs, host.siteNumber),
      expected: file.expected,
      hasSenders: state.policy.hasSenders(eventMs, host.siteNumber),
      missingLists: state.policy.missingLists,
      ruling,
      hold() {
        return holdReason(state, host, eventMs);
      },
      counts() {
        return {
          ...ledger.count(host.slot, eventMs, host.reporter, strengthOf(host), (exporter) =>
            standing.isNewcomer(exporter, eventMs),
          ),
          othersReport: vantagePoints.addresses > 1,
        };
      },
    });
    // An ended block stays an ended block until there is a reason for another.
    if (block.state === 'expired' && (decision.state === 'none' || ruling?.action === 'release'))
      return false;
    const changedState = setBlock(host, decision, eventMs);
    noteHeld(host, eventMs);
    if (file.block.state !== 'published') return changedState;
    if (ruling?.action === 'approve') file.block.approvedBy = ruling.by;
    if (ruling?.action === 'block') setTermsByHand(host, ruling, block, eventMs);
    return changedState;
  }

  /** Who asked for the block, and its own end. A block that stood by evidence does not end earlier for it. */
  function setTermsByHand(host: Host, { by, untilMs }: Ruling, before: CaseBlock, atMs: number): void {
    const { block } = host.file;
    const standing = before.state === 'published' && !isByHand(before) ? before.untilMs : null;
    const terms = { untilMs: Math.max(standing ?? 0, untilMs ?? 0), approvedBy: by };
    if (block.untilMs === terms.untilMs && block.approvedBy === by) return;
    host.file.block = { ...block, ...terms };
    ledger.set(host.slot, block.sinceMs ?? atMs, terms.untilMs, host.reporter);
  }

  /** The same decision found again at a restart must not take back what the host has done since then. */
  function blockByHand(host: Host, ruling: Ruling, decidedMs: number, atMs: number): void {
    const { block, changedMs } = host.file;
    const isKnown =
      block.state === 'published' && block.reason === ruling.reason && block.approvedBy === ruling.by;
    if (isKnown && changedMs >= decidedMs && (block.untilMs ?? 0) >= (ruling.untilMs ?? 0)) return;
    decideAnew(host, atMs);
  }

  /** A block by hand goes on beyond its own end only where the evidence alone would have led to one. */
  const isByHandOnly = ({ file }: Host): boolean =>
    isByHand(file.block) && !(state.block.mode === 'publish' && file.solidGrade >= state.neededGrade);

  /** Keeps account of who waits for the rate of new blocks. */
  function noteHeld(host: Host, atMs: number): void {
    const { state: now, reason } = host.file.block;
    if (now === 'refused' && reason.startsWith(HELD_FOR_RATE))
      ledger.hold(host.slot, host.reporter, strengthOf(host), atMs, state.block.max_new_per_hour);
    else ledger.letGo(host.slot);
  }

  /** Most detectors know of no decision: then no text of a host is made to look for one. */
  function rulingOf(host: Host, atMs: number): Ruling | null {
    if (decisions.size === 0) return null;
    const ruling = rulingInForce(decisions.get(host.key), host.file.id, atMs);
    // No list can deny a host that is not internal any more.
    return ruling?.action === 'block' && !state.policy.isInternal(host.bytes, 0) ? null : ruling;
  }

  function approve(host: Host, by: string, reason: string, atMs: number): void {
    const { block, recurrence } = host.file;
    if (block.state === 'refused' || block.state === 'held') {
      decideAnew(host, atMs);
      return;
    }
    if (!isStanding(block.state) || block.approvedBy !== '' || state.block.mode === 'observe') return;
    setBlock(host, { state: 'published', reason }, atMs);
    // What waited long to be approved has not used up its time.
    const untilMs = Math.max(host.file.block.untilMs ?? 0, atMs + blockTtlMs(state.block, recurrence));
    host.file.block = { ...host.file.block, untilMs, approvedBy: by };
    ledger.set(host.slot, host.file.block.sinceMs ?? atMs, untilMs, host.reporter);
  }

  function refreshBlock(host: Host, eventMs: number): void {
    const { block, recurrence } = host.file;
    const ttlMs = blockTtlMs(state.block, recurrence);
    if (block.sinceMs === null || block.untilMs === null) return;
    if (isByHandOnly(host)) return;
    // In steps, so that a busy host does not make a message of every record.
    if (eventMs + ttlMs - block.untilMs < ttlMs / BLOCK_REFRESHES) return;
    block.untilMs = eventMs + ttlMs;
    ledger.set(host.slot, block.sinceMs, block.untilMs, host.reporter);
    outbox.publish(host);
  }

  function setBlock(host: Host, decision: BlockDecision, eventMs: number): boolean {
    outbox.outdate(host);
    const { file } = host;
    const old = file.block;
    if (decision.state === old.state && decision.reason === old.reason) return false;
    const standing = isStanding(decision.state);
    const begins = standing && !isStanding(old.state);
    const sinceMs = begins ? eventMs : old.sinceMs;
    const untilMs = begins ? eventMs + blockTtlMs(state.block, file.recurrence) : old.untilMs;
    const dated = standing || decision.state === 'expired';
    const published = decision.state === 'published';
    file.block = {
      state: decision.state,
      reason: decision.reason,
      sinceMs: dated ? sinceMs : null,
      untilMs: dated ? untilMs : null,
      approvedBy: standing ? old.approvedBy : '',
      afterNo: isNo(decision.reason) ? (old.afterNo ?? { sessions: file.sessions, step: 0 }) : null,
      effect: published && state.sight.blocksAreReal ? (old.effect ?? newEffect(eventMs)) : null,
    };
    if (standing && sinceMs !== null && untilMs !== null)
      ledger.set(host.slot, sinceMs, untilMs, host.reporter);
    counters.blocks[old.state]--;
    counters.blocks[decision.state]++;
    if (actsAsServer(host)) state.sight.serverFound = true;
    return decision.state !== old.state;
  }

  /** Another block needs evidence of its own. */
  function forgetEvidence({ file }: Host): void {
    file.solidGrade = 0;
    file.records = 0;
    file.datagrams = 0;
    file.dialogue = noSamples();
    file.messages = noMessages();
  }

  /** True when the state changed. */
  function reconsiderBlock(host: Host, s: Sighting, eventMs: number): boolean {
    const { file } = host;
    const { block } = file;
    if (isStanding(block.state)) {
      if (s.port === BLOCK_PORT) refreshBlock(host, eventMs);
      return false;
    }
    // What was only observed is looked at again once a mode that blocks is in force.
    if (block.state === 'observed' && state.block.mode === 'observe') return false;
    const scans = state.block.scanners && file.scanning;
    if (file.grade < state.neededGrade && !scans && block.reason !== '') return false;
    return decideAnew(host, eventMs);
  }

  /** Whether what came shows that the block works. True when that is news. */
  function watchBlock(host: Host, s: Sighting, eventMs: number): boolean {
    const { effect } = host.file.block;
    if (effect === null) return false;
    const evidence = judgeRecord(s, effect.publishedMs + state.block.grace);
    if (evidence === null) return false;
    const place = { ...vantagePoints.get(s.vantage), interface: s.interface };
    if (!noteEvidence(effect, evidence, place, eventMs)) return false;
    outbox.publish(host);
    return effect.state === 'not_effective';
  }

  function endBlock(host: Host, atMs: number): void {
    const reason = isByHandOnly(host)
      ? `the time of the block by hand is over (it was ${host.file.block.reason})`
      : 'the host was silent for the life of a block';
    setBlock(host, { state: 'expired', reason }, atMs);
    forgetEvidence(host);
    outbox.changed(host, null, atMs);
    outbox.alert('updated', host, atMs);
  }

  /** Nothing got through for so long: said aloud only where it did before. */
  function judgeSilence(host: Host, atMs: number): void {
    const { effect } = host.file.block;
    if (effect === null) return;
    const complained = effect.state === 'not_effective';
    if (!noteSilence(effect, state.block.grace, paceOf(host.file), atMs)) return;
    outbox.changed(host, null, atMs);
    if (complained) outbox.alert('updated', host, atMs);
    else outbox.publish(host);
  }

  function interlockOf({ bytes, siteNumber, file }: Host, atMs: number): BlockDecision | null {
    return blockInterlock({
      neverBlocked: state.policy.isNeverBlocked(bytes, 0),
      natPool: state.policy.isNatPool(bytes, 0),
      isSender: state.policy.sendsAnywhere(bytes, 0, atMs, siteNumber),
      expected: file.expected,
      hasSenders: state.policy.hasSenders(atMs, siteNumber),
    });
  }

  /** A block that the configuration of today would not give is taken back at once. True when something changed. */
  function applyPolicyToBlock(host: Host, atMs: number): boolean {
    const { block } = host.file;
    if (!isStanding(block.state)) {
      // What the rules kept from its block, a person still asks for.
      return rulingOf(host, atMs)?.action === 'block' && decideAnew(host, atMs);
    }
    const interlock = interlockOf(host, atMs);
    const server = block.approvedBy === '' ? serverReason(state, host) : null;
    const hold: BlockDecision | null = server === null ? null : { state: 'held', reason: server };
    const decision =
      interlock ?? hold ?? standingDecision(state.block, block, host.file.grade, host.file.scanning);
    if (!setBlock(host, decision, atMs)) return false;
    if (!isStanding(host.file.block.state)) ledger.delete(host.slot);
    return true;
  }

  /** Brings a host in line with a decision about it that has just come, or that was found at a restart. */
  function applyDecision(host: Host): boolean {
    const { block } = host.file;
    const decidedMs = Date.parse(decisions.get(host.key)?.decided_at ?? '');
    const atMs = Math.max(state.clockMs, host.clockMs);
    const ruling = rulingOf(host, atMs);
    if (ruling === null) return false;
    const before = block.state;
    if (ruling.action === 'approve') approve(host, ruling.by, ruling.reason, atMs);
    else if (ruling.action === 'block') blockByHand(host, ruling, decidedMs, atMs);
    else if (ruling.action === 'reject') {
      if (before !== 'none' && before !== 'expired')
        setBlock(host, { state: 'refused', reason: ruling.reason }, atMs);
    } else if (before === 'held') {
      setBlock(host, { state: 'refused', reason: ruling.reason }, atMs);
    } else if (isStanding(before)) {
      setBlock(host, { state: 'expired', reason: ruling.reason }, atMs);
      forgetEvidence(host);
    }
    if (host.file.block === block) return false;
    if (!isStanding(host.file.block.state)) ledger.delete(host.slot);
    outbox.changed(host, null, atMs);
    if (host.file.block.state === before) outbox.publish(host);
    else outbox.alert('updated', host, atMs);
    return true;
  }

  /** A host that turned out to be a mail server, probably. True when the state changed. */
  function holdBlock(host: Host, atMs: number): boolean {
    const { block } = host.file;
    // An earlier list may deny it still, which somebody may go back to.
    const wasBlocked = block.state === 'expired' || (block.state === 'none' && host.file.recurrence > 0);
    if (block.approvedBy !== '' || !(isStanding(block.state) || block.state === 'observed' || wasBlocked))
      return false;
    const reason = serverReason(state, host) ?? (state.sight.serverFound ? unseenSenders(state) : null);
    if (reason === null) return false;
    ledger.delete(host.slot);
    return setBlock(host, { state: 'held', reason }, atMs);
  }

  return {
    hold: holdBlock,
    restored(host, atMs) {
      const { sinceMs, untilMs } = host.file.block;
      if (sinceMs !== null && untilMs !== null) ledger.set(host.slot, sinceMs, untilMs, host.reporter);
      noteHeld(host, atMs);
    },
    reconsider: reconsiderBlock,
    decideAnew,
    watch: watchBlock,
    watchAfterNo: ({ file: { block, sessions } }) =>
      block.afterNo !== null && reachesStep(block.afterNo, sessions),
    end: endBlock,
    judgeSilence,
    forgetEvidence,
    refuse(host, reason, atMs) {
      const changed = setBlock(host, { state: 'refused', reason }, atMs);
      ledger.delete(host.slot);
      return changed;
    },
    applyPolicy: applyPolicyToBlock,
    applyDecision,
  };
}
