/**
 * Packets that the Linux kernel logs: `iptables -j LOG`, `nft ... log`, ulogd, UFW, firewalld, Shorewall (kernel,
 * net/netfilter/nf_log_syslog.c).
 *
 * One line is one packet. Whether it went through is said by nothing but the prefix that the administrator gave to the
 * rule: it is believed where it says so in plain words, and unknown else. A rule may have a limit, so that the part of
 * the packets that is logged is unknown.
 */

import { type FlowLogFormat, type LineVerdict, LOG_DOMAIN, type LoggedFlow } from './flow-log.ts';
import { fillSession, flagWords, hashOf } from './session.ts';
import { createSyslogHead, type LogClues, readSyslogHead } from './syslog.ts';

const PACKET = / SRC=([^ ]+) DST=([^ ]+) /;
const DENIED =
  /(^|[^a-z])(drop|dropped|reject|rejected|deny|denied|block|blocked|discard|refuse|refused)([^a-z]|$)/i;
const ALLOWED = /(^|[^a-z])(accept|accepted|allow|allowed|pass|passed|permit|permitted)([^a-z]|$)/i;

export function isNetfilter(line: string): boolean {
  return PACKET.test(line) && / PROTO=/.test(line) && /(^|[^A-Z])IN=/.test(line);
}

export function netfilterLog(clues: LogClues): FlowLogFormat {
  const head = createSyslogHead();

  function parse(text: string, start: number, end: number, flow: LoggedFlow): LineVerdict {
    const line = text.slice(start, end);
    if (!isNetfilter(line)) return 'other_event';
    readSyslogHead(line, clues, head);
    const prefix = line.slice(head.end, line.indexOf('IN=', head.end));
    const denied = DENIED.test(prefix);
    const allowed = ALLOWED.test(prefix);
    // An ICMP error holds the packet that it is about in brackets, behind its own fields.
    const inner = line.indexOf(' [SRC=');
    const own = inner < 0 ? line : line.slice(0, inner);
    const word = (name: string) => new RegExp(` ${name}=([^ ]*)`).exec(own)?.[1];
    const addresses = PACKET.exec(own);
    const reserved = own.indexOf(' RES=');
    return fillSession(
      {
        source: addresses?.[1],
        destination: addresses?.[2],
        sourcePort: word('SPT'),
        destinationPort: word('DPT'),
        protocol: word('PROTO'),
        packets: '1',
        bytes: word('LEN'),
        flags: reserved < 0 ? 0 : flagWords(own.slice(reserved + 1)),
        outcome: denied === allowed ? 'unknown' : denied ? 'denied' : 'allowed',
        startMs: head.timeMs,
        endMs: head.timeMs,
        domain: head.host === '' ? LOG_DOMAIN.netfilter : hashOf(head.host),
        samplingRate: 0,
      },
      flow,
    );
  }
  return { name: 'netfilter (iptables, nftables)', parse };
}
