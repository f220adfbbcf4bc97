/**
 * FortiGate traffic logs (FortiOS Log Message Reference, "Traffic log"): `key=value`, and the same as CEF (FortiOS Log
 * Message Reference, "CEF support").
 *
 * One line is a session with the counts of both directions. Flags are not told. The line at the start of a session has
 * no counts, and is passed over for the one at its end.
 */

import { type FlowLogFormat, type LineVerdict, LOG_DOMAIN, type LoggedFlow } from './flow-log.ts';
import { keyValues } from './key-values.ts';
import { fillSession, hashOf } from './session.ts';
import type { LogClues } from './syslog.ts';
import { epochMs, readTime } from './values.ts';

const CEF = /CEF: ?\d\|Fortinet\|Forti[Gg]ate[^|]*\|/;

export function isFortigate(line: string): boolean {
  if (CEF.test(line)) return true;
  return /\btype="?traffic"?/.test(line) && /\bsrcip=/.test(line) && /\bdstip=/.test(line);
}

/** What the session came to (`action`). All others (start, dns, ip-conn) are no session that went through. */
const ALLOWED = new Set(['accept', 'close', 'timeout', 'client-rst', 'server-rst', 'pass', 'passthrough']);
const DENIED = new Set(['deny', 'denied', 'block', 'blocked', 'dropped', 'drop']);

export function fortigate(_clues: LogClues): FlowLogFormat {
  function parse(text: string, start: number, end: number, flow: LoggedFlow): LineVerdict {
    const line = text.slice(start, end);
    if (!isFortigate(line)) return 'other_event';
    const values = keyValues(line);
    const of = (...names: readonly string[]) => {
      for (const name of names) {
        const value = values.get(name);
        if (value !== undefined && value !== '') return value;
      }
      return undefined;
    };
    const type = of('type', 'FTNTFGTtype', 'cat');
    if (type !== undefined && !type.startsWith('traffic')) return 'other_event';
    const action = (of('action', 'FTNTFGTaction', 'act') ?? '').toLowerCase();
    if (action === 'start') return 'session_start';
    const denied = DENIED.has(action);
    const sentPackets = of('sentpkt', 'FTNTFGTsentpkt');
    const endMs = timeOf(of);
    const seconds = Number(of('duration', 'FTNTFGTduration') ?? 0);
    const name = of('devname', 'dvchost', 'devid', 'deviceExternalId');
    return fillSession(
      {
        source: of('srcip', 'src'),
        destination: of('dstip', 'dst'),
        sourcePort: of('srcport', 'spt'),
        destinationPort: of('dstport', 'dpt'),
        protocol: of('proto'),
        // A session that was denied has no packets of its own in the log: at least one came.
        packets: denied && (sentPackets ?? '0') === '0' ? undefined : sentPackets,
        bytes: denied ? undefined : of('sentbyte', 'FTNTFGTsentbyte', 'out'),
        replyPackets: of('rcvdpkt', 'FTNTFGTrcvdpkt'),
        replyBytes: of('rcvdbyte', 'FTNTFGTrcvdbyte', 'in'),
        outcome: denied ? 'denied' : ALLOWED.has(action) ? 'allowed' : 'unknown',
        startMs: endMs < 0 || !(seconds >= 0) ? -1 : endMs - 1000 * seconds,
        endMs,
        domain: name === undefined ? LOG_DOMAIN.fortigate : hashOf(name),
        samplingRate: 1,
      },
      flow,
    );
  }
  return { name: 'FortiGate traffic log', parse };
}

/** `eventtime` has digits for seconds to nanoseconds, by the version of FortiOS; `date` and `time` need `tz` to be UTC. */
function timeOf(of: (...names: readonly string[]) => string | undefined): number {
  const event = of('eventtime', 'FTNTFGTeventtime', 'end', 'rt', 'start');
  if (event !== undefined && /^\d{10,19}$/.test(event))
    return epochMs(Number(event) / 10 ** (event.length - 13));
  const date = of('date');
  const time = of('time');
  if (date === undefined || time === undefined) return -1;
  const text = `${date}T${time}${of('tz') ?? ''}`;
  return readTime(text, 0, text.length);
}
