/** `rogue-smtp trace`: from a complaint to the inside hosts that it can mean. */

import { readFileSync } from 'node:fs';
import type { LoadedConfig } from '../config/load.ts';
import { messageOf, RogueSmtpError } from '../errors.ts';
import { describeIdentity, type HostIdentity, readIdentities } from '../identity/identity.ts';
import type { Candidate, TraceAnswer } from '../trace/candidates.ts';
import { type Complaint, type ComplaintTexts, complaintOf } from '../trace/complaint.ts';
import { MAX_REPORT_BYTES, readComplaints } from '../trace/complaint-files.ts';
import { trace } from '../trace/trace.ts';
import { withModel } from './model.ts';
import type { ReportStreams } from './reports.ts';
import { formatBytes, formatTable, printable, shortTime, zoneName } from './table.ts';

export interface TraceFlags {
  readonly at?: string;
  readonly within?: number;
  readonly source?: string;
  readonly destination?: string;
  readonly report?: string;
  readonly json?: boolean;
}

/** Who the host was at the time of the complaint; null: not known. */
type Named = Candidate & { readonly identity: HostIdentity | null };

/** Hosts that a terminal shows; JSON has them all. */
const SHOWN = 10;

/** Exit code: 0 when every complaint found a host. Throws RogueSmtpError `usage` for what is no complaint. */
export async function traceCommand(
  loaded: LoadedConfig,
  flags: TraceFlags,
  streams: ReportStreams,
): Promise<number> {
  const complaints = complaintsOf(flags);
  const { networks, collector, identity } = loaded.config;
  const identities = readIdentities(identity);
  for (const problem of identities.problems)
    streams.stderr.write(`Names are not complete: ${printable(problem)}\n`);
  return withModel(loaded, async (model) => {
    const offenders = await model.offenders();
    let unfound = 0;
    for (const [index, complaint] of complaints.entries()) {
      const answer = await trace(complaint, {
        query: (sql, format) => model.query({ sql, format }),
        offenders,
        inside: networks,
        onlyMail: collector.archive === 'mail',
      });
      if (answer.candidates.length === 0) unfound++;
      const named: Named[] = answer.candidates.map((candidate) => ({
        ...candidate,
        identity: identities.at(candidate.host, complaint.atMs),
      }));
      if (flags.json) streams.stdout.write(`${JSON.stringify({ ...answer, candidates: named })}\n`);
      else streams.stdout.write(`${index === 0 ? '' : '\n'}${shown({ ...answer, candidates: named })}`);
    }
    return unfound === 0 ? 0 : 1;
  });
}

function complaintsOf(flags: TraceFlags): Complaint[] {
  const given: ComplaintTexts = {
    ...(flags.at !== undefined && { at: flags.at }),
    ...(flags.within !== undefined && { within: flags.within }),
    ...endpointTexts(flags.source, 'source', 'sourcePort', '--source'),
    ...endpointTexts(flags.destination, 'destination', 'destinationPort', '--destination'),
  };
  if (flags.report === undefined) {
    if (flags.at === undefined)
      throw new RogueSmtpError('usage', 'say when it happened with --at, or give the report with --report');
    if (flags.source === undefined && flags.destination === undefined)
      throw new RogueSmtpError('usage', 'say with --source or --destination what the complaint is about');
    return [complaintOf(given)];
  }
  // What is said by hand is believed before the report.
  return readComplaints(readReport(flags.report)).map((texts, index) => {
    try {
      return complaintOf({ ...texts, ...given });
    } catch (error) {
      if (!(error instanceof RogueSmtpError)) throw error;
      throw new RogueSmtpError('usage', `report ${index + 1} of ${flags.report}: ${error.message}`);
    }
  });
}

function readReport(file: string): string {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file === '-' ? 0 : file);
  } catch (error) {
    throw new RogueSmtpError('usage', `--report: ${messageOf(error)}`);
  }
  // The reader says the same of texts; bytes are not made a text for nothing.
  return bytes.subarray(0, MAX_REPORT_BYTES + 1).toString('utf8');
}

/** `203.0.113.5`, `203.0.113.5:25`, `2001:db8::1`, `[2001:db8::1]:25` or `:25`. */
function endpointTexts(
  text: string | undefined,
  addressName: 'source' | 'destination',
  portName: 'sourcePort' | 'destinationPort',
  option: string,
): ComplaintTexts {
  if (text === undefined) return {};
  const match = /^(?:\[([^\]]+)\]|([^:]*))(?::(\d{1,5}))?$/.exec(text);
  const address = match === null ? text : (match[1] ?? match[2]);
  const port = match?.[3];
  if (address === '' && port === undefined)
    throw new RogueSmtpError(
      'usage',
      `${option}: expected an address, such as 203.0.113.5 or 203.0.113.5:51000`,
    );
  return {
    ...(address !== '' && { [addressName]: address }),
    ...(port !== undefined && { [portName]: port }),
  };
}

function shown({
  complaint,
  candidates,
  missing,
}: Omit<TraceAnswer, 'candidates'> & { readonly candidates: readonly Named[] }): string {
  const notes = missing.map((text) => `Not to be had: ${text}\n`).join('');
  if (candidates.length === 0) return printableLines(`${complaint}\nNo inside host was found.\n${notes}`);
  const rows = candidates.slice(0, SHOWN);
  const table = formatTable<Named>(
    [
      { title: 'HOST', value: ({ host }) => host },
      ...(rows.some(({ identity }) => identity !== null)
        ? [{ title: 'NAME', value: ({ identity }: Named) => describeIdentity(identity) }]
        : []),
      { title: 'HOW SURE', value: ({ sure }) => sure },
      { title: 'FIRST PACKET', value: ({ match }) => shortTime(match.first) },
      { title: 'LAST PACKET', value: ({ match }) => shortTime(match.last) },
      { title: 'FLOWS', value: ({ match }) => match.records, align: 'right' },
      { title: 'SERVERS', value: ({ match }) => match.peers, align: 'right' },
      { title: 'SENT', value: ({ match }) => formatBytes(Number(match.bytes)), align: 'right' },
    ],
    rows,
  );
  const why = rows.map(({ host, reasons }) => `\n${host}\n${reasons.map((text) => `  ${text}\n`).join('')}`);
  const more =
    candidates.length > SHOWN ? `${candidates.length - SHOWN} more match; --json shows them.\n` : '';
  return printableLines(
    `${complaint}\n\n${table}Times are in ${zoneName(Date.now())}.\n${more}${why.join('')}${notes === '' ? '' : `\n${notes}`}`,
  );
}

const printableLines = (text: string) => text.split('\n').map(printable).join('\n');
