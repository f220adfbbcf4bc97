/**
 * What the collector of a running instance receives at present, and what keeps flows from being decoded, in words.
 *
 * Pure. `status`, `exporters` and `top` show it; the service measures it.
 */

/** One exporter, domain and version. Counts are those since the start of the process. */
export interface LiveExporter {
  readonly exporter: string;
  readonly domain: number;
  readonly version: string;
  /** The agent address of sFlow where a relay stands between; else null. */
  readonly agent: string | null;
  readonly datagrams: number;
  readonly flows: number;
  /** Means over `Collection.rate_seconds`. */
  readonly datagrams_per_second: number;
  readonly flows_per_second: number;
  /** By sequence numbers: flows for v5 and IPFIX, datagrams for v9 and sFlow. */
  readonly lost: number;
  /** What its sequence numbers count; `nothing` where they never change, null where it is not known. */
  readonly counting: string | null;
  /** One packet in so many; empty where the exporter never said. */
  readonly sampling_rates: readonly number[];
  /** Templates in use; null for versions that have none. */
  readonly templates: number | null;
  readonly last_seen: string;
  /** Clock of this machine minus that of the exporter, milliseconds; null where the export does not say. */
  readonly clock_skew_ms: number | null;
  /** Records that have no readable addresses and may be mail, by reason. */
  readonly unread: Readonly<Record<string, number>>;
}

interface LiveListener {
  readonly name: string;
  readonly datagrams: number;
  readonly kernel_drops: number;
}

export interface Collection {
  /** By the clock of the instance. */
  readonly at: string;
  /** `coverage.silent_after`, milliseconds: an exporter that sent nothing for so long is reported. */
  readonly silent_after_ms: number;
  /** The rates are means over the newest so many seconds: at most a minute, less after a start. */
  readonly rate_seconds: number;
  readonly datagrams_per_second: number;
  readonly flows_per_second: number;
  readonly listeners: readonly LiveListener[];
  /** Datagrams that the instance sent to itself, as `canary` does; the listeners count them too. */
  readonly canaries: number;
  /** Datagrams, sets and records that were not decoded, by reason; reasons without any are absent. */
  readonly not_decoded: Readonly<Record<string, number>>;
  /** Flows on mail ports. */
  readonly mail_flows: number;
  /** Senders that are not in `collector.exporters`, the most frequent first; at most ten. */
  readonly refused: readonly { readonly exporter: string; readonly datagrams: number }[];
  /** The busiest first, at most 1000. */
  readonly exporters: readonly LiveExporter[];
  /** Exporters, domains and versions in all, those that are not in `exporters` included. */
  readonly exporters_known: number;
}

/** Clocks that follow NTP differ by far less, and exporters stamp whole seconds. */
const CLOCK_SKEW_MS = 10_000;
/** Waiting for the first datagram is normal for so long after a start. */
const FIRST_DATAGRAM_MS = 60_000;

/** Said behind how many were not decoded. */
const NOT_DECODED: Readonly<Record<string, string>> = {
  not_an_export:
    'datagrams that are not NetFlow v1, v5, v7, v9, IPFIX or sFlow v5. Does another program send to this port?',
  exporter_limit: 'datagrams from more exporters than collector.limits.exporters allows.',
  truncated: 'datagrams or sets that end too early. Are UDP fragments lost on the way?',
  bad_length: 'sets or records with an impossible length.',
  pending_limit:
    'sets that did not fit into the space for data that waits for its template (collector.limits.pending).',
  ambiguous_template:
    'sets with a template id for which two layouts arrive in turn. Set collector.template_scope to address_port.',
  bad_template: 'templates whose fields are impossible, or too many.',
  template_limit: 'templates over a limit (collector.limits).',
  bad_record: 'records that run past the end of their set.',
  rate_limited: 'datagrams over collector.limits.datagrams_per_second.',
  decoder_failed: 'datagrams that made the decoder fail. Please report this; the log has the bytes.',
};

/** Sentences about one exporter; empty while all is well. */
export function exporterTroubles(
  row: LiveExporter,
  { at, silent_after_ms }: Pick<Collection, 'at' | 'silent_after_ms'>,
): string[] {
  const { unread, flows, templates, clock_skew_ms: skewMs } = row;
  const lines: string[] = [];
  const waiting = unread.no_template ?? 0;
  if (flows === 0 && templates === 0)
    lines.push(
      'it has sent no template, so its data cannot be read. Routers send templates every few minutes; make it more often (Cisco: template data timeout 60)',
    );
  else if (waiting > 0) lines.push(`${waiting} sets of data came without their template`);
  for (const [reason, count] of Object.entries(unread))
    if (reason !== 'no_template')
      lines.push(`${count} records have no readable addresses or ports (${reason.replaceAll('_', ' ')})`);
  if (skewMs !== null && Math.abs(skewMs) >= CLOCK_SKEW_MS)
    lines.push(
      `its clock is ${formatSpan(skewMs)} ${skewMs > 0 ? 'behind' : 'ahead of'} that of this machine; use NTP on both`,
    );
  const silentMs = Date.parse(at) - Date.parse(row.last_seen);
  if (silentMs >= silent_after_ms) lines.push(`it has sent nothing for ${formatSpan(silentMs)}`);
  if (row.counting === 'nothing') lines.push('its sequence numbers never change, so losses are not known');
  return lines;
}

/**
 * Sentences about what keeps flows from being seen, the most important first; empty while all is well. `upMs`: how long the
 * instance has been running.
 */
export function collectionTroubles(collection: Collection, upMs: number): string[] {
  const { listeners, exporters, not_decoded: counts, refused } = collection;
  const ports = listeners.map(({ name }) => name).join(' ');
  const received = listeners.reduce((sum, { datagrams }) => sum + datagrams, 0) - collection.canaries;
  const drops = listeners.reduce((sum, listener) => sum + listener.kernel_drops, 0);
  if (received === 0)
    return upMs < FIRST_DATAGRAM_MS
      ? [`No datagram has arrived yet on UDP ${ports}; the instance started ${formatSpan(upMs)} ago.`]
      : [
          `No datagram has arrived on UDP ${ports}. Check the address and port that the router exports to, and the firewalls on the way: tcpdump -ni any udp port ${portOf(listeners)} shows whether packets reach this machine.`,
        ];
  const lines: string[] = [];
  if (refused.length > 0)
    lines.push(
      `${counts.exporter_not_allowed ?? 0} datagrams were refused: collector.exporters does not have ${refused.map(({ exporter }) => exporter).join(', ')}.`,
    );
  const flows = exporters.reduce((sum, exporter) => sum + exporter.flows, 0);
  if (flows === 0) lines.push('Datagrams arrive, but no flow has been decoded yet.');
  for (const row of exporters)
    for (const text of exporterTroubles(row, collection))
      lines.push(`${row.exporter} domain ${row.domain} (${row.version}): ${text}.`);
  for (const [reason, text] of Object.entries(NOT_DECODED)) {
    const count = counts[reason] ?? 0;
    if (count > 0) lines.push(`Not decoded, ${count} time(s): ${text}`);
  }
  if (drops > 0)
    lines.push(
      `The kernel dropped ${drops} datagrams because the receive buffer was full: raise collector.receive_buffer and net.core.rmem_max.`,
    );
  return lines;
}

/** The port of the first listener, for a command that people copy. */
function portOf(listeners: readonly LiveListener[]): string {
  return /:(\d+)$/.exec(listeners[0]?.name ?? '')?.[1] ?? '2055';
}

/** `95 s`, `12 min`, `30 h`, `4 d`: a length of time, whichever way it goes. */
export function formatSpan(ms: number): string {
  const seconds = Math.abs(ms) / 1000;
  if (seconds < 120) return `${seconds.toFixed(0)} s`;
  if (seconds < 7200) return `${(seconds / 60).toFixed(0)} min`;
  return seconds < 172_800 ? `${(seconds / 3600).toFixed(0)} h` : `${(seconds / 86_400).toFixed(0)} d`;
}
