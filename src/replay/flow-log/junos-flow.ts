/**
 * Juniper SRX session logs, RT_FLOW_SESSION_CLOSE and RT_FLOW_SESSION_DENY (System Log Explorer), structured (RFC 5424) and
 * as text.
 *
 * A line at the close of a session has packets and bytes of both directions, and no flags. RT_FLOW_SESSION_CREATE is passed
 * over for it.
 */

import { type FlowLogFormat, type LineVerdict, LOG_DOMAIN, type LoggedFlow } from './flow-log.ts';
import { keyValues } from './key-values.ts';
import { fillSession, hashOf, type SessionWords } from './session.ts';
import { createSyslogHead, type LogClues, readSyslogHead } from './syslog.ts';

const EVENT = /\b(?:APPTRACK|RT_FLOW)_SESSION_(CREATE|CLOSE|DENY)(?:_LS)?\b/;
const ENDS = /session (?:closed [^:]*:|denied) ?([\da-fA-F.:]+)\/(\d+)->([\da-fA-F.:]+)\/(\d+) /;
const CLOSED = / (\d{1,3}) \S+ \S+ \S+ \d+ (\d+)\((\d+)\) (\d+)\((\d+)\) (\d+)/;
const DENIED = / (\d{1,3})\(\d+\) /;

export function isJunosFlow(line: string): boolean {
  return /\bRT_FLOW_SESSION_(CREATE|CLOSE|DENY)/.test(line);
}

export function junosFlow(clues: LogClues): FlowLogFormat {
  const head = createSyslogHead();

  function parse(text: string, start: number, end: number, flow: LoggedFlow): LineVerdict {
    const line = text.slice(start, end);
    // APPTRACK tells of the same sessions again.
    if (!isJunosFlow(line)) return 'other_event';
    const event = EVENT.exec(line)?.[1];
    if (event === 'CREATE') return 'session_start';
    readSyslogHead(line, clues, head);
    const told = line.includes('source-address="') ? structured(line) : inText(line);
    if (told === null) return 'field_count';
    const denied = event === 'DENY';
    const seconds = Number(told.seconds ?? 0);
    const { timeMs, host } = head;
    return fillSession(
      {
        ...told.words,
        outcome: denied ? 'denied' : 'allowed',
        startMs: timeMs < 0 ? timeMs : Math.max(0, timeMs - 1000 * seconds),
        endMs: timeMs,
        domain: host === '' ? LOG_DOMAIN.junos : hashOf(host),
        samplingRate: 1,
      },
      flow,
    );
  }
  return { name: 'Juniper SRX RT_FLOW', parse };
}

interface Told {
  readonly words: Omit<SessionWords, 'outcome' | 'startMs' | 'endMs' | 'domain' | 'samplingRate'>;
  readonly seconds: string | undefined;
}

function structured(line: string): Told {
  const values = keyValues(line);
  return {
    words: {
      source: values.get('source-address'),
      destination: values.get('destination-address'),
      sourcePort: values.get('source-port'),
      destinationPort: values.get('destination-port'),
      protocol: values.get('protocol-id'),
      packets: values.get('packets-from-client'),
      bytes: values.get('bytes-from-client'),
      replyPackets: values.get('packets-from-server'),
      replyBytes: values.get('bytes-from-server'),
    },
    seconds: values.get('elapsed-time'),
  };
}

function inText(line: string): Told | null {
  const ends = ENDS.exec(line);
  if (ends === null) return null;
  const [, source, sourcePort, destination, destinationPort] = ends;
  const behind = line.slice(ends.index + ends[0].length - 1);
  const closed = CLOSED.exec(behind);
  const protocol = closed?.[1] ?? DENIED.exec(behind)?.[1];
  if (protocol === undefined) return null;
  const [, , packets, bytes, replyPackets, replyBytes, seconds] = closed ?? [];
  return {
    words: {
      source,
      destination,
      sourcePort,
      destinationPort,
      protocol,
      packets,
      bytes,
      replyPackets,
      replyBytes,
    },
    seconds,
  };
}
