/**
 * Submission (ports 465, 587, 2525) of hosts that are not senders, counted quietly until it is more than mail programs of
 * people do: many different servers, or very many sessions, within `detection.submission.window`.
 *
 * Below these bounds nothing of it reaches an incident. Over them the host gets one, or its open incident goes on, with all that
 * was counted quietly. The answer depends on the records of one window only, so that a restart, which reads that window
 * again, comes to the same. It never leads to a block. The memory is bounded like that of the hosts with incidents.
 */

import { BULK, noteSources, noteTime } from './case-file.ts';
import type { CaseFile } from './case-file-record.ts';
import { WINDOW, WINDOW_COUNT, WINDOW_OLDEST } from './case-layout.ts';
import { createCaseTables } from './case-tables.ts';
import { type DetectorState, mostHosts } from './detector-state.ts';
import { SESSION_GRADE } from './evidence.ts';
import { DOES } from './expected.ts';
import { createHostTable, type Host } from './host-table.ts';
import { FAN, type Sighting } from './screen.ts';
import type { Session } from './session-record.ts';
import { addSteps, type Before, noteSource } from './tally.ts';

/** Hosts below the bounds are not looked through for old destinations with each record, but so often within the window. */
const TIDY_SHARE = 8;
/** No record of the stream: a quiet host is never restored from one. */
const NOWHERE = { partition: 0, offset: -1, clockMs: 0 } as const;

export interface SubmissionFans {
  /**
   * Takes in what a session to a submission port proves beyond `before`, and says whether its host is over the bounds. Unless
   * it is, the session belongs to no incident. `told`: an incident has this step in its figures already.
   */
  note(session: Session, before: Before, s: Sighting, eventMs: number, told: boolean): number;
  /** Brings what was counted quietly to the file of the host of the sighting, and marks why it is reported. */
  pour(file: CaseFile, s: Sighting): void;
  /** Forgets hosts that were quiet for the whole window. Nothing depends on when it is called. */
  expire(nowMs: number): void;
}

/** `state`: of the detector; of its rules only the bounds may change while it runs. */
export function createSubmissionFans(state: DetectorState): SubmissionFans {
  const { vantagePoints } = state.tables;
  const tables = { ...createCaseTables(0, state.detection.max_sessions), vantagePoints };
  const { destinations, lists } = tables;
  const hosts = createHostTable(tables, state.policy.siteNames);
  let nextExpiryMs = 0;

  /** The quiet host of a sighting. One that was idle for the whole window begins anew. */
  function hostOf(s: Sighting, eventMs: number): Host {
    const { bytes, at } = state.groups.hostOf(s);
    const known = hosts.find(s.site, bytes, at);
    if (known !== undefined && eventMs - known.file.lastMs <= state.detection.submission.window) {
      hosts.touch(known.slot);
      return known;
    }
    if (known !== undefined) hosts.remove(known);
    const reporter = vantagePoints.exporterOf(s.vantage);
    const leaving = hosts.leaving(bytes, at, mostHosts(state.detection), reporter);
    if (leaving !== null) {
      state.counters.evictedSubmitters++;
      hosts.remove(leaving);
    }
    const host = hosts.add(s.site, bytes, at, NOWHERE, reporter);
    host.file.changedMs = eventMs;
    return host;
  }

  /** Several hosts stand behind the address of NAT, and behind an IPv6 /64 that counts as one host. */
  const factorOf = (s: Sighting): number =>
    state.policy.isNatPool(s.client, s.clientAt) || state.groups.isGrouped(s)
      ? state.detection.submission.nat_factor
      : 1;

  function noteServer({ file }: Host, session: Session, s: Sighting, sinceMs: number, eventMs: number) {
    const reached = session.grade >= SESSION_GRADE.connected;
    let server = destinations.findOrMake(file.slot, s.server, s.serverAt, reached);
    if (server < 0) {
      destinations.forgetQuiet(file.slot, sinceMs);
      server = destinations.findOrMake(file.slot, s.server, s.serverAt, reached);
    }
    if (server < 0) return server;
    if (reached) {
      destinations.noteAsked(server, eventMs, sinceMs);
      destinations.clearProbed(server);
    } else {
      destinations.noteProbed(server, eventMs, sinceMs);
    }
    return server;
  }

  function judge({ file }: Host, servers: number, sessions: number, sinceMs: number): number {
    const oldest = file.readWord(WINDOW_OLDEST);
    if (file.readWord(WINDOW_COUNT) >= sessions && lists.timeOf(oldest) >= sinceMs) return FAN.connections;
    if (destinations.count(file.slot) < servers) return FAN.none;
    const reached = destinations.countAskedSince(file.slot, sinceMs);
    if (reached >= servers) return FAN.connections;
    // A program that reaches nobody tries every address of its providers.
    const silent = destinations.countProbedSince(file.slot, sinceMs);
    return reached + silent / 2 >= servers ? FAN.attempts : FAN.none;
  }

  return {
    note(session, before, s, eventMs, told) {
      if (s.internal || s.expectation.declared !== DOES.nothing) return FAN.none;
      const { servers, sessions, window } = state.detection.submission;
      const factor = factorOf(s);
      const sinceMs = eventMs - window;
      // Servers that did not answer count half, so that twice as many may be needed.
      destinations.perHost = 2 * servers * factor;
      const host = hostOf(s, eventMs);
      const { file } = host;
      if (eventMs - file.changedMs > window / TIDY_SHARE) {
        destinations.forgetQuiet(file.slot, sinceMs);
        file.changedMs = eventMs;
      }
      file.lastMs = eventMs;
      const server = noteServer(host, session, s, sinceMs, eventMs);
      if (session.grade >= SESSION_GRADE.connected && before.grade < SESSION_GRADE.connected)
        noteTime(file, WINDOW, sessions * factor, sinceMs, eventMs);
      const fan = judge(host, servers * factor, sessions * factor, sinceMs);
      if (fan === FAN.none && !told) addQuietly(file, server, session, before, s);
      return fan;
    },
    pour(file, s) {
      file.submissionFan = true;
      if (s.fan === FAN.connections && file.grade < BULK) {
        file.grade = BULK;
        file.bulkByFan = true;
      }
      const { bytes, at } = state.groups.hostOf(s);
      const quiet = hosts.find(s.site, bytes, at)?.file;
      if (quiet === undefined || quiet.revision === 0) return;
      pourFigures(file, quiet);
    },
    expire(nowMs) {
      if (hosts.size === 0 || nowMs < nextExpiryMs) return;
      const { window } = state.detection.submission;
      nextExpiryMs = nowMs + window / TIDY_SHARE;
      for (const slot of hosts.slots()) {
        const host = hosts.at(slot);
        if (nowMs - host.file.lastMs <= window) break;
        hosts.remove(host);
      }
    },
  };
}

/** `server`: the entry of the destination, -1 for none. The revision of a quiet file counts the steps that are in its figures. */
function addQuietly(file: CaseFile, server: number, session: Session, before: Before, s: Sighting): void {
  if (file.revision === 0) file.firstMs = session.firstMs;
  file.revision++;
  const steps = addSteps(file, session, before);
  if (server >= 0) file.tables.destinations.add(server, steps.reached, steps.packets, steps.bytes);
  file.firstMs = Math.min(file.firstMs, session.firstMs);
  file.grade = Math.max(file.grade, session.grade);
  noteSource(file, session, s);
}

/** Adds the figures of a quiet file to that of an incident, and takes them out of the quiet one. */
function pourFigures(file: CaseFile, quiet: CaseFile): void {
  const from = quiet.tables.destinations;
  const to = file.tables.destinations;
  for (const { address, sessions, packets, bytes } of from.of(quiet.slot)) {
    if (sessions === 0 && packets === 0) continue;
    const known = to.findOrMake(file.slot, address, 0, sessions > 0);
    if (known >= 0) to.add(known, sessions, packets, bytes);
    const poured = from.find(quiet.slot, address, 0);
    from.add(poured, -sessions, -packets, -bytes);
  }
  file.sessions += quiet.sessions;
  file.attempts += quiet.attempts;
  file.halfSessions += quiet.halfSessions;
  file.deniedSessions += quiet.deniedSessions;
  file.packets += quiet.packets;
  file.bytes += quiet.bytes;
  file.grade = Math.max(file.grade, quiet.grade);
  file.firstMs = Math.min(file.firstMs, quiet.firstMs);
  if (quiet.firstPacketMs !== 0 && (file.firstPacketMs === 0 || quiet.firstPacketMs < file.firstPacketMs))
    file.firstPacketMs = quiet.firstPacketMs;
  file.lastPacketMs = Math.max(file.lastPacketMs, quiet.lastPacketMs);
  if (quiet.flagsUnknown) file.flagsUnknown = true;
  if (quiet.sampled) file.sampled = true;
  if (quiet.repliesSeen) file.repliesSeen = true;
  noteSources(file, quiet.ports, quiet.interfaces, quiet.sampling);
  quiet.sessions = 0;
  quiet.attempts = 0;
  quiet.halfSessions = 0;
  quiet.deniedSessions = 0;
  quiet.packets = 0;
  quiet.bytes = 0;
  quiet.revision = 0;
}
