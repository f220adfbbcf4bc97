/**
 * Palo Alto TRAFFIC logs as comma separated values: as syslog sends them (PAN-OS Administrator's Guide, "Traffic Log
 * Fields"), and as the web interface exports them, under a header line.
 *
 * One line is a session with the counts of both directions; flags are not told. Times have no zone and are those of the
 * firewall: they are taken as UTC. The line at the start of a session is passed over for the one at its end.
 */

import { splitCsv } from '../../files/csv.ts';
import { type FlowLogFormat, type LineVerdict, LOG_DOMAIN, type LoggedFlow } from './flow-log.ts';
import { fillSession, hashOf } from './session.ts';
import { readSeconds, readTime } from './values.ts';

/** Where the fields are. */
interface Places {
  readonly serial: number;
  readonly type: number;
  readonly subtype: number;
  readonly generated: number;
  readonly source: number;
  readonly destination: number;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly protocol: number;
  readonly action: number;
  readonly bytesSent: number;
  readonly bytesReceived: number;
  readonly start: number;
  readonly elapsed: number;
  readonly packetsSent: number;
  readonly packetsReceived: number;
}

/** Of the syslog form, from the field before "Receive Time" on. Newer versions add fields at the end. */
const SYSLOG_PLACES: Places = {
  serial: 2,
  type: 3,
  subtype: 4,
  generated: 6,
  source: 7,
  destination: 8,
  sourcePort: 24,
  destinationPort: 25,
  protocol: 29,
  action: 30,
  bytesSent: 32,
  bytesReceived: 33,
  start: 35,
  elapsed: 36,
  packetsSent: 44,
  packetsReceived: 45,
};

/** Names of the columns in exports, in lower case; versions differ. */
const NAMES: Readonly<Record<keyof Places, readonly string[]>> = {
  serial: ['serial #', 'serial number', 'serial'],
  type: ['type'],
  subtype: ['threat/content type', 'subtype', 'log subtype'],
  generated: ['generate time', 'generated time', 'time generated', 'time_generated'],
  source: ['source address', 'src', 'source'],
  destination: ['destination address', 'dst', 'destination'],
  sourcePort: ['source port', 'sport'],
  destinationPort: ['destination port', 'dport'],
  protocol: ['ip protocol', 'protocol', 'proto'],
  action: ['action'],
  bytesSent: ['bytes sent', 'bytes_sent'],
  bytesReceived: ['bytes received', 'bytes_received'],
  start: ['start time', 'start'],
  elapsed: ['elapsed time (sec)', 'elapsed time', 'elapsed'],
  packetsSent: ['packets sent', 'pkts_sent'],
  packetsReceived: ['packets received', 'pkts_received'],
};

const SYSLOG =
  /(?:^|[ ,:])(\d,\d{4}\/\d\d\/\d\d \d\d:\d\d:\d\d,[^,]*,(TRAFFIC|THREAT|SYSTEM|CONFIG|URL|HIPMATCH|USERID|GLOBALPROTECT|DECRYPTION),.*)$/;

/** The columns that the header of an export names; null for any other line. */
export function panosFields(line: string): Places | null {
  const names = splitCsv(line).map((name) => name.trim().toLowerCase());
  const place = (key: keyof Places) => names.findIndex((name) => NAMES[key].includes(name));
  const places = Object.fromEntries(
    (Object.keys(NAMES) as (keyof Places)[]).map((key) => [key, place(key)]),
  ) as unknown as Places;
  const { source, destination, sourcePort, destinationPort, protocol, action, bytesSent } = places;
  const needed = [source, destination, sourcePort, destinationPort, protocol, action, bytesSent];
  return Math.min(...needed) >= 0 && Math.max(places.generated, places.start) >= 0 ? places : null;
}

export function isPanosSyslog(line: string): boolean {
  return SYSLOG.exec(line)?.[2] === 'TRAFFIC';
}

/** `places` as panosFields gave them, or null for the syslog form. */
export function panosTraffic(places: Places | null): FlowLogFormat {
  function parse(text: string, start: number, end: number, flow: LoggedFlow): LineVerdict {
    const line = text.slice(start, end);
    if (places !== null) return panosFields(line) === null ? read(splitCsv(line), places, flow) : 'header';
    const found = SYSLOG.exec(line);
    return found?.[2] === 'TRAFFIC' ? read(splitCsv(found[1]), SYSLOG_PLACES, flow) : 'other_event';
  }
  return { name: 'Palo Alto TRAFFIC', parse };
}

function read(fields: readonly string[], places: Places, flow: LoggedFlow): LineVerdict {
  const of = (key: keyof Places) => (places[key] < 0 ? undefined : fields[places[key]]?.trim());
  if (places.type >= 0 && of('type')?.toUpperCase() !== 'TRAFFIC') return 'other_event';
  const action = of('action')?.toLowerCase();
  if (action === undefined || of('bytesSent') === undefined) return 'field_count';
  if (of('subtype') === 'start') return 'session_start';
  const denied = action !== 'allow';
  const startMs = time(of('start'));
  const elapsed = of('elapsed');
  const elapsedMs = elapsed === undefined ? 0 : readSeconds(elapsed, 0, elapsed.length);
  const generatedMs = time(of('generated'));
  const serial = of('serial');
  const packetsSent = of('packetsSent');
  return fillSession(
    {
      source: of('source'),
      destination: of('destination'),
      sourcePort: of('sourcePort'),
      destinationPort: of('destinationPort'),
      protocol: of('protocol'),
      packets: denied && packetsSent === '0' ? undefined : packetsSent,
      bytes: of('bytesSent'),
      replyPackets: of('packetsReceived'),
      replyBytes: of('bytesReceived'),
      outcome: denied ? 'denied' : 'allowed',
      startMs,
      endMs: startMs >= 0 && elapsedMs >= 0 ? startMs + elapsedMs : generatedMs,
      domain: serial === undefined || serial === '' ? LOG_DOMAIN.panos : hashOf(serial),
      samplingRate: 1,
    },
    flow,
  );
}

function time(text: string | undefined): number {
  return text === undefined ? -1 : readTime(text, 0, text.length);
}
