/**
 * One line a capture: what we read, what the oracles read, and why they differ where they do.
 */

import type { Capture } from './captures.ts';
import { answerInWords, contradictions } from './cases.ts';
import type { LibraryReading } from './library.ts';
import type { OurReading } from './ours.ts';
import { type Oracle, REASONS } from './reasons.ts';
import { COMPARED, compareRecords, type Reading } from './record.ts';

/** What each oracle said: a reading, or why there is none. */
export interface Readings {
  readonly capture: Capture;
  readonly ours: OurReading;
  readonly library: LibraryReading | null;
  readonly tshark: Reading | null;
  readonly nfdump: Reading | null;
}

export interface Line {
  readonly cells: readonly string[];
  readonly differences: readonly {
    readonly oracle: Oracle;
    readonly difference: string;
    readonly why: string | null;
  }[];
  /** Fields of records that agree with an oracle's. */
  readonly comparedFields: number;
}

const HEADINGS = ['capture', 'version', 'ours', 'README', 'node-netflowv9', 'TShark', 'nfdump'];
const VERSIONS: Readonly<Record<number, string>> = {
  0: 'sFlow',
  1: 'v1',
  5: 'v5',
  7: 'v7',
  9: 'v9',
  10: 'IPFIX',
};

export function lineOf({ capture, ours, library, tshark, nfdump }: Readings): Line {
  const { stated, answer } = capture;
  const found: { oracle: Oracle; difference: string }[] = [];
  let comparedFields = 0;

  function compare(oracle: Oracle, theirs: Reading | null): string {
    if (theirs === null) return '';
    const said = differencesOf(ours, theirs);
    comparedFields += said.fields;
    for (const difference of said.differences) found.push({ oracle, difference });
    return `${theirs.flows}${theirs.options === null ? '' : ` / ${theirs.options}`}`;
  }

  const cells = [
    capture.name,
    VERSIONS[capture.version] ?? 'none',
    `${ours.flows}${ours.answers > 0 ? ` + ${ours.answers}` : ''} / ${ours.options} / ${ours.templates}`,
    answer === null
      ? compare('stated', stated === null ? null : { ...stated, records: null })
      : answerInWords(answer),
    compare('library', library),
    compare('tshark', tshark),
    compare('nfdump', nfdump),
  ];
  if (answer !== null)
    for (const difference of contradictions(ours, answer)) found.push({ oracle: 'stated', difference });
  for (const [what, count] of [
    ['never returns', library?.hung],
    ['throws', library?.threw],
  ] as const) {
    if (count !== undefined && count > 0)
      found.push({
        oracle: 'library',
        difference: `${what} on ${count} of ${capture.datagrams.length} datagrams`,
      });
  }
  const differences = found.map(({ oracle, difference }) => {
    const reason = REASONS.find(
      (known) => known.capture === capture.name && known.oracle === oracle && known.difference === difference,
    );
    return { oracle, difference, why: reason?.why ?? null };
  });
  return { cells, differences, comparedFields };
}

function differencesOf(ours: OurReading, theirs: Reading): { differences: string[]; fields: number } {
  const differences: string[] = [];
  for (const what of ['flows', 'options', 'templates'] as const) {
    const count = theirs[what];
    if (count !== null && count !== ours[what]) differences.push(`${what}: ${count}, ours ${ours[what]}`);
  }
  const comparison = theirs.records === null ? null : compareRecords(ours.records, theirs.records);
  for (const field of COMPARED) {
    const count = comparison?.differing[field];
    if (count !== undefined) differences.push(`${field} of ${count} of ${ours.flows} records`);
  }
  return { differences, fields: comparison?.fields ?? 0 };
}

/** Reasons that no difference asked for, of the captures and oracles that were there. */
export function unusedReasons(readings: readonly Readings[], lines: readonly Line[]): readonly string[] {
  return REASONS.filter(({ capture, oracle, difference }) => {
    const at = readings.findIndex((reading) => reading.capture.name === capture);
    const reading = readings[at];
    if (reading === undefined) return false;
    if (oracle !== 'stated' && reading[oracle] === null) return false;
    return !lines[at]?.differences.some((said) => said.oracle === oracle && said.difference === difference);
  }).map(({ capture, oracle, difference }) => `${capture}, ${oracle}: ${difference}`);
}

export function markdown(lines: readonly Line[]): string {
  const row = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const table = [row([...HEADINGS, 'reasons']), row([...HEADINGS, ''].map(() => '---'))];
  for (const { cells, differences } of lines) {
    const reasons = differences.map(
      ({ oracle, difference, why }) => `${TITLES[oracle]}, ${difference}: ${why ?? '**unexplained**'}`,
    );
    table.push(row([...cells, reasons.join('; ')]));
  }
  return table.join('\n');
}

const TITLES: Readonly<Record<Oracle, string>> = {
  stated: 'README',
  library: 'node-netflowv9',
  tshark: 'TShark',
  nfdump: 'nfdump',
};
