/** Zeek conn and Suricata EVE logs as flow records: as much of them as the labelled data needs. */

import type { Flow } from './flows.ts';
import { T0 } from './flows.ts';

/** Rows of a Zeek conn log, JSON lines or tab separated, on a mail port. Each is one biflow: two records when answered. */
export function zeekConn(text: string): Flow[] {
  const lines = text.split('\n').filter((line) => line !== '');
  const header = lines
    .find((line) => line.startsWith('#fields\t'))
    ?.split('\t')
    .slice(1);
  const flows: Flow[] = [];
  let row = 0;
  for (const line of lines) {
    if (line.startsWith('#')) continue;
    const values: Record<string, unknown> =
      header === undefined
        ? JSON.parse(line)
        : Object.fromEntries(line.split('\t').map((value, i) => [header[i], value]));
    flows.push(
      ...biflow({
        sequence: row++,
        protocol: values.proto === 'tcp' ? 6 : values.proto === 'udp' ? 17 : 1,
        endMs: 1000 * (number(values.ts) + number(values.duration)),
        client: [String(values['id.orig_h']), number(values['id.orig_p'])],
        server: [String(values['id.resp_h']), number(values['id.resp_p'])],
        clientFlags: historyFlags(values.history, /[A-Z]/g),
        serverFlags: historyFlags(values.history, /[a-z]/g),
        clientCounts: [number(values.orig_pkts), number(values.orig_ip_bytes)],
        serverCounts: [number(values.resp_pkts), number(values.resp_ip_bytes)],
      }),
    );
  }
  return onMailPort(flows);
}

/** Flow events of a Suricata EVE log on a mail port. */
export function suricataFlows(text: string): Flow[] {
  const flows: Flow[] = [];
  let row = 0;
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const event = JSON.parse(line);
    if (event.event_type !== 'flow') continue;
    flows.push(
      ...biflow({
        sequence: row++,
        protocol: event.proto === 'TCP' ? 6 : event.proto === 'UDP' ? 17 : 1,
        endMs: Date.parse(event.flow.end),
        client: [event.src_ip, event.src_port ?? 0],
        server: [event.dest_ip, event.dest_port ?? 0],
        clientFlags: hexFlags(event.tcp?.tcp_flags_ts),
        serverFlags: hexFlags(event.tcp?.tcp_flags_tc),
        clientCounts: [event.flow.pkts_toserver, event.flow.bytes_toserver],
        serverCounts: [event.flow.pkts_toclient, event.flow.bytes_toclient],
      }),
    );
  }
  return onMailPort(flows);
}

interface Biflow {
  sequence: number;
  protocol: number;
  endMs: number;
  client: [string, number];
  server: [string, number];
  clientFlags: string | null;
  serverFlags: string | null;
  clientCounts: [number, number];
  serverCounts: [number, number];
}

function biflow(b: Biflow): Flow[] {
  const common = { at: Math.round(b.endMs) - T0, sequence: b.sequence, protocol: b.protocol };
  const flows: Flow[] = [];
  if (b.clientCounts[0] > 0) {
    flows.push({
      ...common,
      from: b.client[0],
      fromPort: b.client[1],
      to: b.server[0],
      toPort: b.server[1],
      flags: b.clientFlags,
      packets: b.clientCounts[0],
      bytes: b.clientCounts[1],
    });
  }
  if (b.serverCounts[0] > 0) {
    flows.push({
      ...common,
      from: b.server[0],
      fromPort: b.server[1],
      to: b.client[0],
      toPort: b.client[1],
      flags: b.serverFlags,
      packets: b.serverCounts[0],
      bytes: b.serverCounts[1],
      reverse: true,
    });
  }
  return flows;
}

const onMailPort = (flows: Flow[]) =>
  flows.filter(({ fromPort, toPort }) => fromPort === 25 || toPort === 25);

const HISTORY: Record<string, string> = { s: 'S', h: 'SA', a: 'A', d: 'PA', f: 'FA', r: 'R' };

/** Letters of the Zeek history of one side as TCP flags; null when there is no history. */
function historyFlags(history: unknown, side: RegExp): string | null {
  if (typeof history !== 'string' || history === '-') return null;
  return (history.match(side) ?? []).map((letter) => HISTORY[letter.toLowerCase()] ?? '').join('');
}

function hexFlags(hex: unknown): string | null {
  if (typeof hex !== 'string') return null;
  const bits = Number.parseInt(hex, 16);
  return ['F', 'S', 'R', 'P', 'A'].filter((_, i) => (bits & (1 << i)) !== 0).join('');
}

/** Zeek writes `-` for what it does not know. */
function number(value: unknown): number {
  const parsed = Number(value);
  return Number.isFinite(parsed) ? parsed : 0;
}
