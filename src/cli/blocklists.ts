/** `rogue-smtp blocklists`: asks the DNS blocklists of the configuration now. */

import { askZone, createBlocklistResolver, type ListAnswer } from '../blocklist-watch/ask.ts';
import { watchedAddresses } from '../blocklist-watch/watch.ts';
import type { LoadedConfig } from '../config/load.ts';
import { RogueSmtpError } from '../errors.ts';
import type { ReportStreams } from './reports.ts';
import { formatTable, printable } from './table.ts';

interface Line {
  readonly address: string;
  readonly list: string;
  readonly answer: ListAnswer;
}

/** A person waits: less than the service leaves between two questions. */
const PAUSE_MS = 10;

/** Exit code: 0 when no list has any of the addresses, 1 when one has, or when none could be asked. */
export async function blocklistsCommand(
  { config }: LoadedConfig,
  flags: { readonly json?: boolean },
  streams: ReportStreams,
): Promise<number> {
  const { zones, servers } = config.blocklists;
  const addresses = watchedAddresses(config.blocklists);
  if (addresses.length === 0 || zones.length === 0)
    throw new RogueSmtpError(
      'usage',
      'nothing to ask: the configuration needs blocklists.addresses (your public addresses) and blocklists.zones, such as zen.spamhaus.org',
    );
  const resolver = createBlocklistResolver(servers);
  const { signal } = new AbortController();
  const results = await Promise.all(
    zones.map((zone) => askZone(zone, addresses, resolver, { signal, pauseMs: PAUSE_MS })),
  );
  const lines: Line[] = results.flatMap(({ zone, answers }) =>
    [...answers].map(([address, answer]) => ({ address, list: zone, answer })),
  );
  const listed = lines.filter(({ answer }) => answer.kind === 'listed');
  if (flags.json) for (const line of lines) streams.stdout.write(`${JSON.stringify(line)}\n`);
  else {
    const asked = results.filter(({ trouble }) => trouble === null).map(({ zone }) => zone);
    if (listed.length > 0)
      streams.stdout.write(
        formatTable<Line>(
          [
            { title: 'ADDRESS', value: ({ address }) => address },
            { title: 'LIST', value: ({ list }) => list },
            { title: 'MEANING', value: ({ answer }) => (answer.kind === 'listed' ? answer.meaning : '') },
            { title: 'THE LIST SAYS', value: ({ answer }) => (answer.kind === 'listed' ? answer.text : '') },
          ],
          listed,
        ),
      );
    else if (asked.length > 0)
      streams.stdout.write(`None of ${addresses.length} address(es) is on ${asked.join(', ')}.\n`);
    const unknown = new Set(
      lines.flatMap(({ list, answer }) => (answer.kind === 'unknown' ? [`${list}: ${answer.why}`] : [])),
    );
    for (const text of unknown) streams.stderr.write(`Not known: ${printable(text)}\n`);
  }
  return listed.length > 0 || results.every(({ trouble }) => trouble !== null) ? 1 : 0;
}
