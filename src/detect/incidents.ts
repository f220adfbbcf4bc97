/**
 * Incidents and alerts as messages: ids, words and figures from a case file, and a case file back from an incident.
 *
 * Ids are digests of what identifies the event, so that the same event computed again has the same id. What a restart
 * needs beyond the public fields is in `resume`, as small as an exact continuation allows, and is believed only after
 * validation.
 */

import { hash } from 'node:crypto';
import { z } from 'zod';
import type { DetectionConfig } from '../config/schema.ts';
import { parseAddress } from '../flow/address.ts';
import { parsePrefix } from '../flow/prefix.ts';
import { type Alert, FLAGS, GRADES, type Incident } from '../messages/alert.ts';
import { describeAfterNo } from './after-no.ts';
import { type BlockEffect, describeEffect, newEffect } from './block-effect.ts';
import { BULK, beginCase, isMailBulk, noteSources } from './case-file.ts';
import type { CaseFile } from './case-file-record.ts';
import type { CaseBlock } from './case-tables.ts';
import type { Destination } from './destinations.ts';
import { SESSION_GRADE } from './evidence.ts';
import { MAX_MEMBERS, type Members } from './members.ts';
import { MAX_MESSAGE_SCORE, MIN_MESSAGE_SCORE } from './message-test.ts';
import { MAX_SCORE } from './sampled-dialogue.ts';

/** Destinations that a message shows. */
const TOP_DESTINATIONS = 10;
const ID_DIGITS = 24;
const INCIDENT_ID = /^[0-9a-f]{24}$/;

export interface HostName {
  readonly address: string;
  readonly site: string;
}

/** How far the mail stream is counted in an incident: records of the host up to here are in its figures. */
export interface Watermark {
  readonly partition: number;
  readonly offset: number;
  /** Detector clock at that record: a record received later is not in the figures, whatever its offset. */
  readonly clockMs: number;
}

/** What an alert and an incident say alike. */
export type Evidence = Omit<
  Incident,
  | 'schema'
  | 'schema_version'
  | 'state'
  | 'opened_at'
  | 'updated_at'
  | 'closed_at'
  | 'revision'
  | 'recurrence'
  | 'resume'
>;

const digest = (...parts: (string | number)[]) =>
  hash('sha256', JSON.stringify(parts), 'hex').slice(0, ID_DIGITS);

/** Stable over restarts and redelivery: who, the how-manieth time, and the record that it began with. */
export function incidentId(host: HostName, recurrence: number, firstRecord: number, firstMs: number): string {
  return digest('incident', host.site, host.address, recurrence, firstRecord, firstMs);
}

/**
 * The alert of an event. Its fields are named one by one, as those of an incident, because an outbreak makes hundreds of
 * thousands: a spread in the middle of an object takes four times as long. Only a group of addresses, which is rare, has
 * one field more.
 */
export function toAlert(kind: Alert['kind'], evidence: Evidence, file: CaseFile, emittedMs: number): Alert {
  const ordinal = kind === 'updated' ? file.updates : kind === 'escalated' ? file.grade : 0;
  const alertId = digest('alert', evidence.incident_id, kind, ordinal);
  const emittedAt = iso(emittedMs);
  if (evidence.members !== undefined) {
    return {
      schema: 'rogue-smtp.alert',
      schema_version: 1,
      alert_id: alertId,
      kind,
      ...evidence,
      emitted_at: emittedAt,
    };
  }
  return {
    schema: 'rogue-smtp.alert',
    schema_version: 1,
    alert_id: alertId,
    kind,
    incident_id: evidence.incident_id,
    host: evidence.host,
    site: evidence.site,
    grade: evidence.grade,
    flags: evidence.flags,
    first_seen: evidence.first_seen,
    last_seen: evidence.last_seen,
    first_packet: evidence.first_packet,
    last_packet: evidence.last_packet,
    sessions: evidence.sessions,
    attempts: evidence.attempts,
    destinations: evidence.destinations,
    packets: evidence.packets,
    bytes: evidence.bytes,
    ports: evidence.ports,
    exporters: evidence.exporters,
    sampling: evidence.sampling,
    reasons: evidence.reasons,
    missing: evidence.missing,
    policy_version: evidence.policy_version,
    block: evidence.block,
    emitted_at: emittedAt,
  };
}

export function toIncident(evidence: Evidence, file: CaseFile, watermark: Watermark): Incident {
  const state = file.closedMs === null ? 'open' : 'closed';
  const closedAt = file.closedMs === null ? null : iso(file.closedMs);
  const resume = toResume(file, watermark);
  if (evidence.members !== undefined) {
    return {
      schema: 'rogue-smtp.incident',
      schema_version: 1,
      ...evidence,
      state,
      opened_at: iso(file.openedMs),
      updated_at: iso(file.changedMs),
      closed_at: closedAt,
      revision: file.revision,
      recurrence: file.recurrence,
      resume,
    };
  }
  return {
    schema: 'rogue-smtp.incident',
    schema_version: 1,
    incident_id: evidence.incident_id,
    host: evidence.host,
    site: evidence.site,
    grade: evidence.grade,
    flags: evidence.flags,
    first_seen: evidence.first_seen,
    last_seen: evidence.last_seen,
    first_packet: evidence.first_packet,
    last_packet: evidence.last_packet,
    sessions: evidence.sessions,
    attempts: evidence.attempts,
    destinations: evidence.destinations,
    packets: evidence.packets,
    bytes: evidence.bytes,
    ports: evidence.ports,
    exporters: evidence.exporters,
    sampling: evidence.sampling,
    reasons: evidence.reasons,
    missing: evidence.missing,
    policy_version: evidence.policy_version,
    block: evidence.block,
    state,
    opened_at: iso(file.openedMs),
    updated_at: iso(file.changedMs),
    closed_at: closedAt,
    revision: file.revision,
    recurrence: file.recurrence,
    resume,
  };
}

export function toEvidence(
  host: HostName,
  file: CaseFile,
  detection: DetectionConfig,
  policyVersion: string,
): Evidence {
  const { address, site } = host;
  const { block } = file;
  return {
    incident_id: file.id,
    host: address,
    site,
    grade: GRADES[file.grade - 1],
    flags: flagsOf(file),
    first_seen: iso(file.firstMs),
    last_seen: iso(file.lastMs),
    first_packet: file.firstPacketMs === 0 ? null : iso(file.firstPacketMs),
    last_packet: file.lastPacketMs === 0 ? null : iso(file.lastPacketMs),
    sessions: file.sessions,
    attempts: file.attempts,
    destinations: {
      count: file.destinationCount,
      exact: file.destinationsExact,
      top: topDestinations(file),
    },
    ...membersOf(file.members),
    packets: file.packets,
    bytes: file.bytes,
    ports: file.ports,
    exporters: file.interfaces,
    sampling: file.sampling,
    reasons: reasonsOf(address, file, detection),
    missing: missingOf(file),
    policy_version: policyVersion,
    block: {
      state: block.state,
      reason: block.reason,
      since: block.sinceMs === null ? null : iso(block.sinceMs),
      until: block.untilMs === null ? null : iso(block.untilMs),
      ...(block.approvedBy !== '' && { approved_by: block.approvedBy }),
      ...effectOf(file),
    },
  };
}

/**
 * The list in memory of its own size. One that grew by `push` has room for 17 entries, which the garbage collector copies for as long
 * as the message waits.
 */
const trimmed = <Item>(list: readonly Item[]): Item[] => list.slice();

/** The newest first. */
function membersOf(members: Members | null): Pick<Alert, 'members'> {
  if (members === null) return {};
  const sorted = [...members].sort(
    ([addressA, a], [addressB, b]) => b.lastMs - a.lastMs || (addressA < addressB ? -1 : 1),
  );
  return {
    members: sorted.map(([address, { lastMs, untilMs }]) => ({
      address,
      last_seen: iso(lastMs),
      until: untilMs === 0 ? null : iso(untilMs),
    })),
  };
}

function effectOf({ block: { effect } }: CaseFile): Pick<Alert['block'], 'effect'> {
  if (effect === null || effect.state === 'unknown') return {};
  const { state, sinceMs, passing } = effect;
  return { effect: { state, reason: describeEffect(effect), since: iso(sinceMs), passing: [...passing] } };
}

function flagsOf(file: CaseFile): Alert['flags'] {
  const set: Record<(typeof FLAGS)[number], boolean> = {
    half_seen: file.halfSessions > 0,
    denied: file.deniedSessions > 0,
    sampled: file.sampled,
    backscatter: file.backscatter,
    flags_unknown: file.flagsUnknown,
    not_effective: file.block.effect?.state === 'not_effective',
    scanning: file.scanning,
    expected: file.expected,
    submission_fan: file.submissionFan,
  };
  return trimmed(FLAGS.filter((flag) => set[flag]));
}

function topDestinations(file: CaseFile): Alert['destinations']['top'] {
  const { destinations } = file.tables;
  return destinations
    .top(file.slot, TOP_DESTINATIONS)
    .map(([address, sessions, packets, bytes]) => ({ address, sessions, packets, bytes }));
}

function reasonsOf(address: string, file: CaseFile, detection: DetectionConfig): string[] {
  const reasons = [`${address} ${file.verdict}`];
  const ports = `TCP port ${file.ports.join(', ')}`;
  if (file.sessions > 0) {
    reasons.push(
      `${plural(file.sessions, 'session')} on ${ports}, ${file.destinationsExact ? '' : 'at least '}${plural(file.destinationCount, 'destination')}`,
    );
  }
  if (file.attempts > 0) {
    reasons.push(`${plural(file.attempts, 'attempt')} on ${ports} that did not become a connection`);
  }
  reasons.push(...gradeReasons(file, detection));
  if (file.dialogueProven) {
    reasons.push(
      'samples prove messages: so many sampled packets had so much payload (more than 300 bytes on average) that only mails explain it; checks of servers have half as much, over TLS too',
    );
  }
  if (file.halfSessions > 0) {
    reasons.push(`${plural(file.halfSessions, 'session')} known only from what the servers answered`);
  }
  if (file.deniedSessions > 0) {
    reasons.push(`${plural(file.deniedSessions, 'attempt')} already denied by the network`);
  }
  if (file.internalSessions > 0) {
    reasons.push(
      `${plural(file.internalSessions, 'session')} with internal servers that are no authorised mail servers: these never lead to a block`,
    );
  }
  const { effect, afterNo } = file.block;
  const goesOn = afterNo === null ? null : describeAfterNo(afterNo, file.sessions, file.block.reason);
  if (goesOn !== null) reasons.push(goesOn);
  if (effect?.state === 'not_effective') reasons.push(`the block is ${describeEffect(effect)}`);
  if (file.backscatter) {
    reasons.push('also gets answers to packets that it never sent: somebody may use its address');
  }
  return trimmed(reasons);
}

/** What the grade rests on. */
function gradeReasons(file: CaseFile, { conversed, bulk, scanning, submission }: DetectionConfig): string[] {
  const reasons: string[] = [];
  const { likely } = file.messages;
  const within = `within ${seconds(bulk.window)}`;
  if (file.grade === BULK && file.bulkEnvelopes) {
    reasons.push(
      `told addresses to at least ${plural(bulk.envelope_destinations, 'server')} ${within}: mail that is refused everywhere, or a program that verifies addresses`,
    );
  } else if (isMailBulk(file)) {
    reasons.push(
      `at least ${plural(bulk.sessions, 'session')} that may have carried a message, or such sessions to ${plural(bulk.destinations, 'destination')}, ${within}`,
    );
  }
  if (file.submissionFan) {
    reasons.push(
      `on submission ports at least ${plural(submission.servers, 'server')} (one that never answers counts half) or ${plural(submission.sessions, 'session')} within ${seconds(submission.window)}, of an address that many share ${submission.nat_factor} times as many: more than mail programs of people use`,
    );
  }
  if (file.messageSeen) {
    reasons.push(
      `in one session the host sent more than greetings, addresses and TLS take (${conversed.plain_payload_bytes} bytes of payload; ${conversed.any_payload_bytes} where TLS cannot be ruled out): a message`,
    );
  }
  if (file.messagesProven) {
    reasons.push(
      `several sessions were larger than a TLS check (${conversed.tls_payload_bytes} bytes of payload): together only mail explains them`,
    );
  } else if (likely > 0 && !file.messageSeen) {
    reasons.push(`${plural(likely, 'session')} may have carried a message: not enough for a proof yet`);
  }
  if (file.scanning) {
    reasons.push(
      `connects to many servers and sends them no message (at least ${plural(scanning.destinations, 'destination')} ${within}): a scan, or a program that verifies addresses`,
    );
  }
  if (reasons.length === 0 && file.grade >= SESSION_GRADE.connected && !file.dialogueProven) {
    reasons.push('a connection was established, and nothing in it was as large as a message');
  }
  return reasons;
}

function missingOf(file: CaseFile): string[] {
  const missing: string[] = [];
  if (file.flagsUnknown) missing.push('TCP flags: some records have none');
  if (file.sampled) {
    missing.push('unsampled counts: sessions, packets and bytes are those of the samples');
    if (file.grade < SESSION_GRADE.conversed) missing.push(missingProof(file));
  }
  if (file.sampling.includes(0)) missing.push('the sampling rate of some records');
  if (!file.repliesSeen) missing.push('the replies of the servers: no record of that direction');
  const { unclear } = file.messages;
  if (unclear > 0 && file.grade < SESSION_GRADE.conversed) {
    missing.push(
      `what ${plural(unclear, 'session')} carried: as large as a short mail, and as a TLS check ${file.repliesSeen ? 'with a post-quantum key' : "of which the server's half is not exported"}`,
    );
  }
  if (file.halfSessions > 0) missing.push('what the host sent in some sessions: only replies were exported');
  if (!file.destinationsExact) missing.push('the exact number of destinations: the table was full');
  return trimmed(missing);
}

function missingProof({ dialogue: { trials, payload } }: CaseFile): string {
  const mean = Math.round(payload / Math.max(1, trials));
  return `proof of a message: ${plural(trials, 'sampled packet')} of the host had ${mean} bytes of payload on average; a proof needs many with more than 300, which only mails of several kB have`;
}

const plural = (count: number, noun: string) => `${count} ${noun}${count === 1 ? '' : 's'}`;
const seconds = (ms: number) => (ms % 60_000 === 0 ? `${ms / 60_000} min` : `${ms / 1000} s`);
/** Times as text: most times of a message are the same, or those of the message before. A power of two of places. */
const TIMES = 256;
const times = new Float64Array(TIMES).fill(Number.NaN);
const timeTexts = new Array<string>(TIMES).fill('');

function iso(ms: number): string {
  const at = ms & (TIMES - 1);
  if (times[at] !== ms) {
    timeTexts[at] = new Date(ms).toISOString();
    times[at] = ms;
  }
  return timeTexts[at];
}

const natural = z.number().int().nonnegative();
const bit = natural.max(1);
const resumeSchema = z.strictObject({
  v: z.literal(1),
  /** Partition, offset and clock of the watermark. */
  at: z.tuple([natural, z.number().int(), natural]),
  /** Sessions: half seen, denied. */
  special: z.tuple([natural, natural]),
  /** Block evidence: solid grade, records, datagrams, hash of the first datagram. */
  solid: z.tuple([natural.max(BULK), natural.max(2), natural.max(2), natural]),
  /** Number of updates, time of the newest alert. */
  told: z.tuple([natural, natural]),
  replies: z.boolean(),
  /** The test over samples: score, trials, payload, 1 when it ever accepted. Absent in older incidents. */
  dialogue: z.tuple([natural.max(MAX_SCORE), natural, natural, natural.max(1)]).default([0, 0, 0, 0]),
  /** The test over likely messages: score, sessions that were likely, and unclear; then 1 for each of: a message was seen, messages
   * were proven, TLS was seen, bulk by envelopes. Absent in older incidents. */
  messages: z
    .tuple([
      z.number().int().min(MIN_MESSAGE_SCORE).max(MAX_MESSAGE_SCORE),
      natural,
      natural,
      bit,
      bit,
      bit,
      bit,
    ])
    .default([0, 0, 0, 0, 0, 0, 0]),
  /** Datagrams behind the flag `scanning`, and the hash of the first. */
  scan: z.tuple([natural.max(2), natural]).default([0, 0]),
  internal: natural.default(0),
  /** `bulk` for submission alone; no alert was raised yet. */
  bulk_by_fan: bit.optional(),
  untold: bit.optional(),
  /** The watch over a published block: published, newest that passed, refused since, longest gap. Absent in older incidents. */
  effect: z.tuple([natural, natural, natural]).rest(natural).optional(),
  /** Sessions when a person said no to the block, and steps reported since. */
  after_no: z.tuple([natural, natural.max(32)]).optional(),
  /** Of a group, each address: newest evidence, grade, first datagram, datagrams, until when it is blocked. */
  members: z
    .array(z.tuple([z.string(), natural, natural.max(BULK), natural, natural.max(2), natural]))
    .max(MAX_MEMBERS)
    .optional(),
  verdict: z.string(),
  /** Address, sessions, packets, bytes; then what the sizes of the sessions tell, where they tell anything (header-length.ts). */
  destinations: z
    .array(z.tuple([z.string(), natural, natural, natural]).rest(natural.max(0xffff_ffff)))
    .max(8192),
});

function toResume(file: CaseFile, watermark: Watermark): z.output<typeof resumeSchema> {
  return {
    v: 1,
    at: [watermark.partition, watermark.offset, watermark.clockMs],
    special: [file.halfSessions, file.deniedSessions],
    solid: [file.solidGrade, file.records, file.datagrams, file.firstDatagram],
    told: [file.updates, file.alertedMs],
    replies: file.repliesSeen,
    dialogue: [file.dialogue.score, file.dialogue.trials, file.dialogue.payload, file.dialogueProven ? 1 : 0],
    messages: [
      file.messages.score,
      file.messages.likely,
      file.messages.unclear,
      file.messageSeen ? 1 : 0,
      file.messagesProven ? 1 : 0,
      file.tlsSeen ? 1 : 0,
      file.bulkEnvelopes ? 1 : 0,
    ],
    scan: [file.scanDatagrams, file.scanDatagram],
    internal: file.internalSessions,
    ...(file.bulkByFan && { bulk_by_fan: 1 }),
    ...(file.untold && { untold: 1 }),
    ...(file.block.effect !== null && {
      effect: effectToResume(file.block.effect),
    }),
    ...(file.block.afterNo !== null && { after_no: [file.block.afterNo.sessions, file.block.afterNo.step] }),
    ...(file.members !== null && {
      members: [...file.members].map(([address, m]) => [
        address,
        m.lastMs,
        m.grade,
        m.firstDatagram,
        m.datagrams,
        m.untilMs,
      ]),
    }),
    verdict: file.verdict,
    destinations: file.tables.destinations.rows(file.slot),
  };
}

const effectToResume = ({
  publishedMs,
  passedMs,
  refused,
  gapMs,
}: BlockEffect): [number, number, number, number] => [publishedMs, passedMs, refused, gapMs];

/** An incident of an earlier process, read and found sound. */
export interface RestoredIncident {
  readonly incident: Incident;
  readonly address: Uint8Array;
  readonly watermark: Watermark;
  readonly openedMs: number;
  readonly closedMs: number | null;
  readonly grade: number;
  readonly block: CaseBlock;
  readonly destinations: readonly (Destination & { readonly sizes: readonly number[] })[];
  readonly resume: z.output<typeof resumeSchema>;
}

/** What an incident says of the case file that it was made from, or null when its text cannot have come from here. */
export function fromIncident(incident: Incident): RestoredIncident | null {
  const parsed = resumeSchema.safeParse(incident.resume);
  const host = parsePrefix(incident.host);
  if (!parsed.success || !host.ok || !INCIDENT_ID.test(incident.incident_id)) return null;
  const resume = parsed.data;
  if (resume.members?.some(([text]) => parseAddress(text) === null)) return null;
  const destinations: (Destination & { readonly sizes: readonly number[] })[] = [];
  for (const [text, sessions, packets, bytes, ...sizes] of resume.destinations) {
    const destination = parseAddress(text);
    if (destination === null) return null;
    destinations.push({ address: destination, sessions, packets, bytes, sizes });
  }
  const { state, reason, since, until, approved_by } = incident.block;
  const [partition, offset, clockMs] = resume.at;
  return {
    incident,
    address: host.prefix.bytes,
    watermark: { partition, offset, clockMs },
    openedMs: Date.parse(incident.opened_at),
    closedMs: incident.closed_at === null ? null : Date.parse(incident.closed_at),
    grade: GRADES.indexOf(incident.grade) + 1,
    block: {
      state,
      reason,
      sinceMs: since === null ? null : Date.parse(since),
      untilMs: until === null ? null : Date.parse(until),
      approvedBy: approved_by ?? '',
      effect: state === 'published' ? restoredEffect(incident, resume.effect) : null,
      afterNo:
        resume.after_no === undefined ? null : { sessions: resume.after_no[0], step: resume.after_no[1] },
    },
    destinations,
    resume,
  };
}

const packetMs = (text: string | null | undefined) =>
  text === null || text === undefined ? 0 : Date.parse(text);

/** Makes the file that of a restored incident. */
export function restoreCase(file: CaseFile, restored: RestoredIncident): void {
  const { incident, resume, openedMs } = restored;
  const { destinations } = file.tables;
  beginCase(file, {
    id: incident.incident_id,
    recurrence: incident.recurrence,
    openedMs,
    firstMs: Date.parse(incident.first_seen),
    verdict: resume.verdict,
  });
  if (resume.members !== undefined) {
    file.members = new Map(
      resume.members.map(([address, lastMs, grade, firstDatagram, datagrams, untilMs]) => [
        address,
        { lastMs, grade, firstDatagram, datagrams, untilMs },
      ]),
    );
  }
  for (const destination of restored.destinations)
    destinations.restore(file.slot, destination, destination.sizes);
  file.lastMs = Date.parse(incident.last_seen);
  file.firstPacketMs = packetMs(incident.first_packet);
  file.lastPacketMs = packetMs(incident.last_packet);
  file.changedMs = Date.parse(incident.updated_at);
  file.closedMs = restored.closedMs;
  file.revision = incident.revision;
  file.grade = restored.grade;
  file.sessions = incident.sessions;
  file.attempts = incident.attempts;
  [file.halfSessions, file.deniedSessions] = resume.special;
  file.packets = incident.packets;
  file.bytes = incident.bytes;
  file.flagsUnknown = incident.flags.includes('flags_unknown');
  file.sampled = incident.flags.includes('sampled');
  file.backscatter = incident.flags.includes('backscatter');
  file.repliesSeen = resume.replies;
  file.destinationsExact = incident.destinations.exact;
  noteSources(file, incident.ports, incident.exporters, incident.sampling);
  [file.solidGrade, file.records, file.datagrams, file.firstDatagram] = resume.solid;
  const [score, trials, payload, proven] = resume.dialogue;
  file.dialogue = { score, trials, payload };
  file.dialogueProven = proven === 1;
  const [messageScore, likely, unclear, seen, messagesProven, tls, envelopes] = resume.messages;
  file.messages = { score: messageScore, likely, unclear };
  file.messageSeen = seen === 1;
  file.messagesProven = messagesProven === 1;
  file.tlsSeen = tls === 1;
  file.bulkEnvelopes = envelopes === 1;
  file.scanning = incident.flags.includes('scanning');
  file.expected = incident.flags.includes('expected');
  file.submissionFan = incident.flags.includes('submission_fan');
  file.bulkByFan = resume.bulk_by_fan === 1;
  file.untold = resume.untold === 1;
  [file.scanDatagrams, file.scanDatagram] = resume.scan;
  file.internalSessions = resume.internal;
  [file.updates, file.alertedMs] = resume.told;
  file.block = restored.block;
}

function restoredEffect(
  { block, updated_at }: Incident,
  resume: z.output<typeof resumeSchema>['effect'],
): CaseBlock['effect'] {
  // An older version's: it is watched from its newest word on.
  if (resume === undefined) return newEffect(Date.parse(updated_at));
  const [publishedMs, passedMs, refused, gapMs = 0] = resume;
  const { effect } = block;
  return {
    publishedMs,
    passedMs,
    refused,
    gapMs,
    state: effect?.state ?? 'unknown',
    sinceMs: effect === undefined ? 0 : Date.parse(effect.since),
    passing: effect === undefined ? [] : [...effect.passing],
  };
}
