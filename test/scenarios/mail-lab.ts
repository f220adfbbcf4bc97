/**
 * The captures of the mail lab (test/fixtures/mail-lab), replayed through the product and compared with the truth.
 *
 * Every host of a capture is one case: a program that does one thing. What counts as blocked is an incident whose block
 * was ever published. A third of the cases is set aside by their names; no bound was set by what they show.
 */

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { loadConfig } from '../../src/config/load.ts';
import { HALF_WAIT_MS } from '../../src/detect/half-sessions.ts';
import { formatAddress } from '../../src/flow/address.ts';
import type { FlowBatch } from '../../src/flow/batch.ts';
import type { Grade, Incident } from '../../src/messages/alert.ts';
import { replayFiles } from '../../src/replay/replay.ts';
import type { TruthCase } from '../e2e/mail-lab/truth.ts';

/**
 * The old rule, which counts packets and bytes, fails what the tests assert about innocent hosts and mail: `true` from the
 * rule on that reads payload.
 */
export const PAYLOAD_RULE = true;

export const MAIL_LAB = new URL('../fixtures/mail-lab/', import.meta.url).pathname;

export interface LabCase extends TruthCase {
  /** The highest grade, null when nothing was said of the host. */
  readonly grade: Grade | null;
  /** When its block was first published, null when it never was. */
  readonly blockedAtMs: number | null;
  /** What it was judged by in the end. */
  readonly incident: Incident | null;
}

export interface LabVerdict {
  readonly capture: string;
  /** One packet in so many was taken. */
  readonly sampling: number;
  /** Which halves the exporter saw. */
  readonly halves: 'both' | 'forward' | 'reply';
  readonly cases: readonly LabCase[];
}

export function readTruth(directory = MAIL_LAB): TruthCase[] {
  return JSON.parse(gunzipSync(readFileSync(join(directory, 'truth.json.gz'))).toString()) as TruthCase[];
}

/** Names of the captures, without their endings. */
export function listCaptures(directory = MAIL_LAB): string[] {
  const names = readdirSync(directory).filter((name) => name.endsWith('.pcap.gz'));
  return names.map((name) => name.slice(0, -'.pcap.gz'.length)).sort();
}

export async function judgeCapture(capture: string, directory = MAIL_LAB): Promise<LabVerdict> {
  const truth = readTruth(directory);
  const blocked = new Map<string, number>();
  const newest = new Map<string, Incident>();
  const seen = new Set<string>();
  const { config } = loadConfig({ file: join(directory, 'rogue-smtp.yaml') });
  await replayFiles([join(directory, `${capture}.pcap.gz`)], config, {
    onFlows: async (batch) => noteHosts(batch, seen),
    onOutcome: async (_, incidents) => {
      for (const incident of incidents) {
        newest.set(incident.host, incident);
        const { state, since } = incident.block;
        if (state === 'published' && since !== null && !blocked.has(incident.host))
          blocked.set(incident.host, Date.parse(since));
      }
    },
  });
  const halves = capture.endsWith('-forward') ? 'forward' : capture.endsWith('-reply') ? 'reply' : 'both';
  const sampling = Number(/-1in(\d+)$/.exec(capture)?.[1] ?? 1);
  return {
    capture,
    sampling,
    halves,
    // Some samplers saw a part of the cases; NetFlow v5 has no IPv6.
    cases: truth
      .filter(({ host }) => seen.has(host))
      .map((each) => {
        const incident = newest.get(each.host) ?? null;
        return {
          ...each,
          grade: incident?.grade ?? null,
          blockedAtMs: blocked.get(each.host) ?? null,
          incident,
        };
      }),
  };
}

function noteHosts({ columns, length }: FlowBatch, seen: Set<string>): void {
  for (let row = 0; row < length; row++) {
    for (const column of [columns.src_addr, columns.dst_addr])
      seen.add(formatAddress(column.subarray(16 * row, 16 * row + 16)));
  }
}

/** No message of its own: whoever blocks it cuts off an innocent host. */
const isInnocent = ({ kind }: TruthCase) =>
  kind === 'innocent' || kind === 'scanner' || kind === 'authorised';

/**
 * A delivering case whose block was not published before the first session after its second delivering one had ended, of
 * which no record can be there by then; where packets were sampled, or no session came after it, before the end. Where
 * only one half is exported, the detector may wait for the other one.
 */
export function isMissed(each: LabCase, { sampling, halves }: LabVerdict): boolean {
  if (each.kind !== 'delivering') return false;
  if (each.blockedAtMs === null) return true;
  if (sampling > 1) return false;
  const deliveries = each.first.flatMap(({ delivered }, i) => (delivered > 0 ? [i] : []));
  const next = deliveries.length < 2 ? undefined : each.first[deliveries[1] + 1];
  if (next === undefined) return false;
  return each.blockedAtMs > Date.parse(next.start) + next.ms + (halves === 'both' ? 0 : HALF_WAIT_MS);
}

interface Count {
  readonly cases: number;
  readonly errors: number;
}

export interface LabSummary {
  readonly innocent: Count;
  readonly scanner: Count;
  readonly authorised: Count;
  /** Wanted to deliver and was refused before any message: neither verdict is an error; `errors` are the blocked. */
  readonly refused: Count;
  readonly delivering: Count;
}

/** Blocked innocents and missed deliveries among these cases. */
export function summarise(verdict: LabVerdict, chosen: (each: LabCase) => boolean): LabSummary {
  const count = (kind: LabCase['kind'], isError: (each: LabCase) => boolean): Count => {
    const those = verdict.cases.filter((each) => each.kind === kind && chosen(each));
    return { cases: those.length, errors: those.filter(isError).length };
  };
  const isBlocked = (each: LabCase) => each.blockedAtMs !== null;
  return {
    innocent: count('innocent', isBlocked),
    scanner: count('scanner', isBlocked),
    authorised: count('authorised', (each) => each.incident !== null),
    refused: count('refused', isBlocked),
    delivering: count('delivering', (each) => isMissed(each, verdict)),
  };
}

const KINDS = ['innocent', 'scanner', 'authorised', 'refused', 'delivering'] as const;

/** Figures of the rule that counted packets and bytes: what the tables show in brackets. */
export interface OldRule {
  /** By capture, then "others" and "set aside". */
  readonly exporters: Readonly<Record<string, Readonly<Record<string, LabSummary>>>>;
  readonly programs: Readonly<Record<string, LabSummary>>;
}
export const OLD_RULE = new URL('mail-lab-old-rule.json', import.meta.url).pathname;
export const oldRule = () => JSON.parse(readFileSync(OLD_RULE, 'utf8')) as OldRule;

const GROUPS = [
  ['others', false],
  ['set aside', true],
] as const;

/** Of each capture and group of cases; and of each program, over all captures with the client's half that do not sample. */
export function tallies(verdicts: readonly LabVerdict[]): OldRule {
  const group = (verdict: LabVerdict) =>
    Object.fromEntries(
      GROUPS.map(([name, aside]) => [name, summarise(verdict, (each) => each.aside === aside)]),
    );
  const whole = verdicts.filter(({ halves, sampling }) => halves !== 'reply' && sampling === 1);
  const programs = [...new Set(whole.flatMap(({ cases }) => cases.map(({ program }) => program)))].sort();
  const program = (name: string) =>
    addUp(whole.map((verdict) => summarise(verdict, (each) => each.program === name)));
  return {
    exporters: Object.fromEntries(verdicts.map((verdict) => [verdict.capture, group(verdict)])),
    programs: Object.fromEntries(programs.map((name) => [name, program(name)])),
  };
}

function addUp(summaries: readonly LabSummary[]): LabSummary {
  const sum = (kind: (typeof KINDS)[number]): Count => ({
    cases: summaries.reduce((total, each) => total + each[kind].cases, 0),
    errors: summaries.reduce((total, each) => total + each[kind].errors, 0),
  });
  return {
    innocent: sum('innocent'),
    scanner: sum('scanner'),
    authorised: sum('authorised'),
    refused: sum('refused'),
    delivering: sum('delivering'),
  };
}

const HEAD = [
  'innocent blocked | scanners blocked | authorised named | refused blocked | mail missed |',
  '--: | --: | --: | --: | --: |',
];

/** Errors of cases, and in brackets those of the old rule. */
function cells(now: LabSummary, old: LabSummary | undefined): string {
  return KINDS.map((kind) => {
    const { errors, cases } = now[kind];
    if (cases === 0) return '';
    return `${errors} of ${cases}${old === undefined ? '' : ` (${old[kind].errors})`}`;
  }).join(' | ');
}

/** A Markdown table with two lines for each capture: the cases that were looked at, and those set aside. */
export function exporterTable(verdicts: readonly LabVerdict[], old: OldRule): string[] {
  const { exporters } = tallies(verdicts);
  return [
    `| exporter | cases | ${HEAD[0]}`,
    `| --- | --- | ${HEAD[1]}`,
    ...Object.entries(exporters).flatMap(([capture, groups]) =>
      Object.entries(groups).map(
        ([name, now]) => `| ${capture} | ${name} | ${cells(now, old.exporters[capture]?.[name])} |`,
      ),
    ),
  ];
}

/**
 * A Markdown table of generated traffic beside the lab: two lines for each sampling rate, over all captures of the lab that see
 * both halves, and over all generated networks.
 */
export function besideTable(
  verdicts: readonly LabVerdict[],
  generated: ReadonlyMap<number, readonly LabSummary[]>,
): string[] {
  const seen = verdicts.filter(({ halves }) => halves === 'both');
  const rates = [...new Set([...seen.map(({ sampling }) => sampling), ...generated.keys()])];
  const ofLab = (rate: number) =>
    seen.filter(({ sampling }) => sampling === rate).map((verdict) => summarise(verdict, () => true));
  const row = (rate: number, what: string, those: readonly LabSummary[]) =>
    those.length === 0 ? [] : [`| 1:${rate} | ${what} | ${cells(addUp(those), undefined)} |`];
  return [
    `| sampling | hosts of | ${HEAD[0]}`,
    `| --- | --- | ${HEAD[1]}`,
    ...rates
      .sort((a, b) => a - b)
      .flatMap((rate) => [
        ...row(rate, 'the lab', ofLab(rate)),
        ...row(rate, 'generated networks', generated.get(rate) ?? []),
      ]),
  ];
}

/** A Markdown table with a line for each program, over the captures that do not sample. */
export function programTable(verdicts: readonly LabVerdict[], old: OldRule): string[] {
  const { programs } = tallies(verdicts);
  return [
    `| program | ${HEAD[0]}`,
    `| --- | ${HEAD[1]}`,
    ...Object.entries(programs).map(([name, now]) => `| ${name} | ${cells(now, old.programs[name])} |`),
  ];
}

/** The cases that were judged wrongly, in words. */
export function errorsOf(verdict: LabVerdict): string[] {
  const isError = (each: LabCase) =>
    (isInnocent(each) && each.blockedAtMs !== null) || isMissed(each, verdict);
  return verdict.cases.filter(isError).map((each) => {
    const what = `${each.kind} ${each.name}${each.aside ? ' (set aside)' : ''}`;
    const block = each.blockedAtMs === null ? 'not blocked' : 'blocked';
    return `${verdict.capture}: ${what}: ${each.grade ?? 'nothing'}, ${block}`;
  });
}
