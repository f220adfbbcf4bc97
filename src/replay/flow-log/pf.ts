/**
 * Packets that pf logs: filterlog of pfSense and OPNsense (pfSense documentation, "Raw Filter Log Format"), and pflog as
 * tcpdump prints it (pflogd(8), `tcpdump -n -e -tttt -r /var/log/pflog`, also as OpenBSD prints it).
 *
 * One line is one packet. A rule that keeps state logs the first packet of a connection only, so that `pass` says that a
 * connection was opened, and not how many packets it had: the part that is logged is unknown.
 */

import { type FlowLogFormat, type LineVerdict, LOG_DOMAIN, type LoggedFlow } from './flow-log.ts';
import { fillSession, hashOf, type SessionWords, tcpdumpFlags } from './session.ts';
import { createSyslogHead, type LogClues, readSyslogHead } from './syslog.ts';

const FILTERLOG = /\bfilterlog(?:\[\d+\])?(?::| \d+ \S+ (?:-|\[[^\]]*\])) (?=\d*,)/;
const PFLOG =
  /\brule \S{1,40}?\/\S{0,20}?\(match\S{0,20}?\):? (?:\[[^\]]{0,60}\] )?(pass|block|match|rdr|nat|binat) (?:in|out) on \S{1,40}?: (.*)$/;

export function isFilterlog(line: string): boolean {
  return FILTERLOG.test(line);
}

export function isPflogText(line: string): boolean {
  return PFLOG.test(line);
}

function outcomeOf(action: string): SessionWords['outcome'] {
  if (action === 'block' || action === 'reject') return 'denied';
  return action === 'pass' ? 'allowed' : 'unknown';
}

export function filterlog(clues: LogClues): FlowLogFormat {
  const head = createSyslogHead();

  function parse(text: string, start: number, end: number, flow: LoggedFlow): LineVerdict {
    const line = text.slice(start, end);
    const found = FILTERLOG.exec(line);
    if (found === null) return 'other_event';
    const fields = line.slice(found.index + found[0].length).split(',');
    const [, , , , , , action, , version] = fields;
    if (version !== '4' && version !== '6') return fields.length < 9 ? 'field_count' : 'bad_protocol';
    // Translations are logged beside the packet that they are of.
    if (action === 'nat' || action === 'rdr' || action === 'binat') return 'other_event';
    const [protocolAt, behind] = version === '4' ? [15, 17] : [13, 14];
    const protocol = fields[protocolAt];
    if (fields.length < behind + 3) return 'field_count';
    const [length, source, destination, sourcePort, destinationPort, , flags] = fields.slice(behind);
    const isTcp = protocol === '6';
    if ((isTcp || protocol === '17') && fields.length < behind + 6) return 'field_count';
    readSyslogHead(line, clues, head);
    return fillSession(
      {
        source,
        destination,
        sourcePort,
        destinationPort,
        protocol,
        packets: '1',
        bytes: length,
        flags: isTcp && flags !== undefined ? tcpdumpFlags(flags) : 0,
        outcome: outcomeOf(action),
        startMs: head.timeMs,
        endMs: head.timeMs,
        domain: head.host === '' ? LOG_DOMAIN.pf : hashOf(head.host),
        samplingRate: 0,
      },
      flow,
    );
  }
  return { name: 'pf filterlog (pfSense, OPNsense)', parse };
}

/** `10.1.2.3.40000 > 192.0.2.1.25: ...`; of IPv6 the port follows a dot too. Without `-n` tcpdump writes names. */
const ENDS = /^(?:\([^)]*\) |IP6? )*(\S+)\.([\w-]+) > (\S+)\.([\w-]+): ?(.*)$/;
/** Ports of mail as tcpdump names them (IANA service names). Another name is not read. */
const MAIL_PORTS: ReadonlyMap<string, string> = new Map([
  ['smtp', '25'],
  ['submission', '587'],
  ...['submissions', 'smtps', 'urd'].map((name) => [name, '465'] as const),
]);
const TCP_NEW = /^Flags \[([^\]]*)\]/;
/** OpenBSD, and tcpdump before 4: flags, then sequence numbers or an acknowledgement. */
const TCP_OLD = /^([SFRPUEW.]+) (?:\[[^\]]*\] )?(?:\d+:\d+\(\d+\)|ack )/;
const UDP = /^(?:UDP,|udp \d+|\[[^\]]*\] udp)/i;

export function pflogText(clues: LogClues): FlowLogFormat {
  const head = createSyslogHead();

  function parse(text: string, start: number, end: number, flow: LoggedFlow): LineVerdict {
    const line = text.slice(start, end);
    const found = PFLOG.exec(line);
    if (found === null) return 'other_event';
    const ends = ENDS.exec(found[2]);
    // What has no ports is not looked at any further: it is no TCP.
    if (ends === null) return 'not_ip';
    const [, source, sourcePort, destination, destinationPort, rest] = ends;
    const flags = TCP_NEW.exec(rest)?.[1] ?? TCP_OLD.exec(rest)?.[1];
    if (flags === undefined && !UDP.test(rest)) return 'bad_protocol';
    readSyslogHead(line, clues, head);
    return fillSession(
      {
        source,
        destination,
        sourcePort: MAIL_PORTS.get(sourcePort) ?? sourcePort,
        destinationPort: MAIL_PORTS.get(destinationPort) ?? destinationPort,
        protocol: flags === undefined ? '17' : '6',
        packets: '1',
        flags: flags === undefined ? 0 : tcpdumpFlags(flags),
        outcome: outcomeOf(found[1]),
        startMs: head.timeMs,
        endMs: head.timeMs,
        domain: LOG_DOMAIN.pf,
        samplingRate: 0,
      },
      flow,
    );
  }
  return { name: 'pflog (tcpdump text)', parse };
}
