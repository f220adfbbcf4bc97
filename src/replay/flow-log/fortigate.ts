/**
 * FortiGate traffic logs (FortiOS Log Message Reference, "Traffic log"): `key=value`, and the same as CEF (FortiOS Log
 * Message Reference, "CEF support").
 *
 * One line is a session with the counts of both directions. Flags are not told. The line at the start of a session has
 * no counts, and is passed over for the one at its end. Sessions that go on are logged every two minutes with their counts
 * since the beginning (log id 0000000020): each line counts what came since the one before.
 */

import { type FlowLogFormat, type LineVerdict, LOG_DOMAIN, type LoggedFlow } from './flow-log.ts';
import { keyValues } from './key-values.ts';
import { fillSession, hashOf, type SessionWords } from './session.ts';
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

/** Sessions that went on, whose last counts are remembered; the one that was logged longest ago goes first. */
const MAX_SESSIONS = 65_536;
/** Actions that a session does not go on after. */
const ENDED = new Set(['close', 'timeout', 'client-rst', 'server-rst']);

type Find = (...names: readonly string[]) => string | undefined;
type Counts = Pick<SessionWords, 'packets' | 'bytes' | 'replyPackets' | 'replyBytes'>;
const COUNTS = ['packets', 'bytes', 'replyPackets', 'replyBytes'] as const;

export function fortigate(_clues: LogClues): FlowLogFormat {
  const sessions = new Map<string, { readonly counts: Counts; readonly endMs: number }>();

  /** The counts since the session's line before this one, and when that was (-1 when this is the first). */
  function sinceLast(of: Find, action: string, device: string, endMs: number): [Counts, sinceMs: number] {
    const counts: Counts = {
      packets: of('sentpkt', 'FTNTFGTsentpkt'),
      bytes: of('sentbyte', 'FTNTFGTsentbyte', 'out'),
      replyPackets: of('rcvdpkt', 'FTNTFGTrcvdpkt'),
      replyBytes: of('rcvdbyte', 'FTNTFGTrcvdbyte', 'in'),
    };
    const deltas: Counts = {
      packets: of('sentpktdelta', 'FTNTFGTsentpktdelta'),
      bytes: of('sentdelta', 'FTNTFGTsentdelta'),
      replyPackets: of('rcvdpktdelta', 'FTNTFGTrcvdpktdelta'),
      replyBytes: of('rcvddelta', 'FTNTFGTrcvddelta'),
    };
    const id = of('sessionid', 'FTNTFGTsessionid', 'externalId');
    const ends = [of('srcip', 'src'), of('srcport', 'spt'), of('dstip', 'dst'), of('dstport', 'dpt')];
    const key = [device, id, ...ends].join(' ');
    const before = id === undefined ? undefined : sessions.get(key);
    if (id !== undefined) {
      sessions.delete(key);
      if (!ENDED.has(action)) sessions.set(key, { counts, endMs });
      for (const oldest of sessions.keys()) {
        if (sessions.size <= MAX_SESSIONS) break;
        sessions.delete(oldest);
      }
    }
    // Less than before: the number was given to another session.
    const goesOn =
      before !== undefined && COUNTS.every((name) => !(more(before.counts[name], counts[name]) < 0));
    const later: Counts = Object.fromEntries(
      COUNTS.map((name) => {
        if (goesOn) return [name, difference(before.counts[name], counts[name])];
        return [name, deltas[name] ?? (isPart(deltas, counts, name) ? undefined : counts[name])];
      }),
    );
    return [later, goesOn ? before.endMs : -1];
  }

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
    const endMs = timeOf(of);
    const name = of('devname', 'dvchost', 'devid', 'deviceExternalId');
    const [{ packets, bytes, replyPackets, replyBytes }, sinceMs] = sinceLast(of, action, name ?? '', endMs);
    const seconds = Number(of('durationdelta', 'duration', 'FTNTFGTduration') ?? 0);
    const startMs = sinceMs >= 0 ? sinceMs : endMs < 0 || !(seconds >= 0) ? -1 : endMs - 1000 * seconds;
    return fillSession(
      {
        source: of('srcip', 'src'),
        destination: of('dstip', 'dst'),
        sourcePort: of('srcport', 'spt'),
        destinationPort: of('dstport', 'dpt'),
        protocol: of('proto'),
        // A session that was denied has no packets of its own in the log: at least one came.
        packets: denied && (packets ?? '0') === '0' ? undefined : packets,
        bytes: denied ? undefined : bytes,
        replyPackets,
        replyBytes,
        outcome: denied ? 'denied' : ALLOWED.has(action) ? 'allowed' : 'unknown',
        startMs,
        endMs,
        domain: name === undefined ? LOG_DOMAIN.fortigate : hashOf(name),
        samplingRate: 1,
      },
      flow,
    );
  }
  return { name: 'FortiGate traffic log', parse };
}

/** NaN where one is not told. */
function more(before: string | undefined, now: string | undefined): number {
  return before === undefined || now === undefined ? Number.NaN : Number(now) - Number(before);
}

function difference(before: string | undefined, now: string | undefined): string | undefined {
  const count = more(before, now);
  return Number.isNaN(count) ? now : `${count}`;
}

/** A count since the beginning of the session, of a line whose octets say that others came before it. */
function isPart(deltas: Counts, counts: Counts, name: (typeof COUNTS)[number]): boolean {
  const octets = name === 'packets' || name === 'bytes' ? 'bytes' : 'replyBytes';
  return more(deltas[octets], counts[octets]) > 0;
}

/** `eventtime` has digits for seconds to nanoseconds, by the version of FortiOS; `date` and `time` need `tz` to be UTC. */
function timeOf(of: Find): number {
  const event = of('eventtime', 'FTNTFGTeventtime', 'end', 'rt', 'start');
  if (event !== undefined && /^\d{10,19}$/.test(event))
    return epochMs(Number(event) / 10 ** (event.length - 13));
  const date = of('date');
  const time = of('time');
  if (date === undefined || time === undefined) return -1;
  const text = `${date}T${time}${of('tz') ?? ''}`;
  return readTime(text, 0, text.length);
}
