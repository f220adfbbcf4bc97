/**
 * What the README of CASES_DIR says is right of each of its captures, as far as records can show it: how many servers the
 * rogue host mails to, how large its packets are, what was lost. What becomes of that (grades, blocks) is for the scenarios.
 */

import { readdirSync, readFileSync } from 'node:fs';
import { CASES_DIR, haveCases } from '../support/field-cases.ts';
import type { OurReading } from './ours.ts';

/** Absent is what the README does not say of the capture, or not in these words. */
export interface Answer {
  /** Destinations on port 25 of the host that is to be blocked. */
  readonly servers?: number;
  /** Of every record. */
  readonly packets?: number;
  readonly bytes?: number;
  readonly flags?: number;
  readonly records?: number;
  readonly lost?: number;
}

const SUFFIX = '.pcap.gz';
const MAIL = 25;

export interface FieldCase {
  readonly name: string;
  readonly path: string;
  readonly answer: Answer;
}

/** The captures of `decode`, each with its answer; none where CASES_DIR is absent. */
export function readFieldCases(): FieldCase[] {
  if (!haveCases) return [];
  const directory = `${CASES_DIR}/decode`;
  const names = readdirSync(directory)
    .filter((name) => name.endsWith(SUFFIX))
    .map((name) => name.slice(0, -SUFFIX.length))
    .sort();
  const answers = readAnswers(readFileSync(`${CASES_DIR}/README.md`, 'utf8'), names);
  return names.map((name) => ({
    name,
    path: `${directory}/${name}${SUFFIX}`,
    answer: answers.get(name) ?? {},
  }));
}

/** Where our reading is not what the answer says. */
export function contradictions(ours: OurReading, answer: Answer): string[] {
  const { records } = ours;
  const every = (field: 'packets' | 'bytes' | 'flags', value: number | undefined) => {
    const others = records.filter((record) => record[field] !== value).length;
    return value === undefined || others === 0
      ? []
      : [`${field} ${value}, ours other on ${others} of ${records.length} records`];
  };
  const servers = new Set(records.filter(({ dst_port }) => dst_port === MAIL).map(({ dst }) => dst)).size;
  const same = (what: string, stated: number | undefined, own: number) =>
    stated === undefined || stated === own ? [] : [`${what} ${stated}, ours ${own}`];
  return [
    ...same('servers', answer.servers, servers),
    ...same('records', answer.records, records.length),
    ...same('lost', answer.lost, ours.lost),
    ...every('packets', answer.packets),
    ...every('bytes', answer.bytes),
    ...every('flags', answer.flags),
  ];
}

export function answerInWords(answer: Answer): string {
  return Object.entries(answer)
    .map(([what, value]) => `${what} ${value}`)
    .join(', ');
}

/** From the table of `decode`: `| file | what it is | right answer | ... |`, where "as above" is the usual answer. */
function readAnswers(text: string, names: readonly string[]): Map<string, Answer> {
  const [, section = ''] = text.split(/^## decode\/.*$/m);
  const servers = Number(/mailing to (\d+) servers/.exec(section)?.[1]);
  const samples = /(\d+) sampled packets of (\d+) bytes with PSH and ACK/.exec(section);
  const answers = new Map<string, Answer>();
  for (const line of section.split(/^## /m)[0]?.split('\n') ?? []) {
    const [, files = '', , right = ''] = line.split('|').map((cell) => cell.trim());
    for (const file of files.split(', ')) {
      // A second name is given by its end only.
      const name =
        names.find((one) => one === file) ?? names.find((one) => file.startsWith('-') && one.endsWith(file));
      if (name === undefined || answers.has(name)) continue;
      const isUsual = right.startsWith('as above');
      const lost = /(\d+) lost/.exec(right)?.[1];
      const flags = /flags (0x[0-9a-f]+)/.exec(right)?.[1];
      const packets = /^(\d+) packets/.exec(right)?.[1];
      answers.set(name, {
        ...(isUsual && { servers }),
        ...(isUsual &&
          name.startsWith('sflow') && {
            records: Number(samples?.[1]),
            bytes: Number(samples?.[2]),
            flags: 0x18,
          }),
        // "Or unknown" is as right as none.
        ...(lost !== undefined && { lost: Number(lost) }),
        ...(flags !== undefined && { flags: Number(flags) }),
        ...(packets !== undefined && { packets: Number(packets) }),
      });
    }
  }
  return answers;
}
