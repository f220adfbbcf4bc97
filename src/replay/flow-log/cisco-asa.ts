/**
 * Cisco ASA and Firepower (LINA) syslog (Cisco Secure Firewall ASA Series Syslog Messages): 302013 and 302014, a TCP
 * connection built and torn down; 106001, 106006, 106010, 106015, 106023 and 106100, packets denied (106100: or permitted).
 * Of FTD also 430002 and 430003 (see cisco-ftd.ts).
 *
 * A teardown says how many bytes of payload went both ways together, and why the connection ended. Bytes of one side and
 * packets are not told, and nothing is shared out by guess. Which side opened a connection is told by `Built` only: of a
 * teardown whose `Built` is not in the log it is told by the ports where just one of them is a server's.
 */

import { isFtdConnection, readFtdConnection } from './cisco-ftd.ts';
import { type FlowLogFormat, type LineVerdict, LOG_DOMAIN, type LoggedFlow } from './flow-log.ts';
import { fillSession, flagWords, hashOf, type SessionWords } from './session.ts';
import { createSyslogHead, type LogClues, readSyslogHead } from './syslog.ts';

const MESSAGE = /%(?:ASA|FTD|PIX)-(?:[a-z]+-)?\d-(\d{6}): (.*)$/;
const END = '(?:[^\\s:]+:)?([\\da-fA-F.:]+)/(\\d+)';
const BUILT = new RegExp(`^Built (inbound|outbound) TCP connection (\\d+) for ${END}`);
const TEARDOWN = new RegExp(
  `^Teardown TCP connection (\\d+) for ${END}(?: ?\\([^)]*\\))* to ${END}(?: ?\\([^)]*\\))* duration (\\d+):(\\d\\d):(\\d\\d) bytes (\\d+)(.*)$`,
);
const BY_GROUP = new RegExp(
  `^Deny (tcp|udp|icmp|\\d+|protocol \\d+) src ${END}(?:\\([^)]*\\))? dst ${END}(?:\\([^)]*\\))? `,
  'i',
);
const BY_LIST =
  /^access-list \S+ (permitted|denied|est-allowed) (\S+) [^\s/]+\/([\da-fA-F.:]+)\((\d+)\)(?:\([^)]*\))* -> [^\s/]+\/([\da-fA-F.:]+)\((\d+)\)(?:\([^)]*\))* hit-cnt (\d+) /;
const NO_CONNECTION = new RegExp(
  `^(?:Deny (?:inbound )?|Inbound )(TCP|UDP)(?: connection denied)? (?:\\(no connection\\) )?(?:from|src) ${END} (?:to|dst) ${END}(.*)$`,
  'i',
);

/** Denials that tell ports, of TCP. Others (106021: reverse path) have none. */
const OF_TCP: ReadonlySet<string> = new Set(['106001', '106015', '106023', '106100']);

const SYN = 2;
const ACK = 16;
const FIN = 1;
/** Connections whose teardown is waited for: of a firewall with more at once the oldest are forgotten. */
const MAX_BUILT = 500_000;
const FIRST_CLIENT_PORT = 1024;

export function isCiscoAsa(line: string): boolean {
  return MESSAGE.test(line);
}

export function ciscoAsa(clues: LogClues): FlowLogFormat {
  const head = createSyslogHead();
  /** Host and number of a connection: whether the end that is named second opened it. */
  const built = new Map<string, boolean>();

  function noteBuilt(message: string): LineVerdict {
    const found = BUILT.exec(message);
    if (found === null) return 'bad_address';
    if (built.size >= MAX_BUILT) for (const [oldest] of built) if (built.delete(oldest)) break;
    built.set(`${head.host}/${found[2]}`, found[1] === 'outbound');
    return 'session_start';
  }

  function words(changes: Partial<SessionWords>): SessionWords {
    return {
      source: undefined,
      destination: undefined,
      sourcePort: undefined,
      destinationPort: undefined,
      protocol: '6',
      outcome: 'denied',
      startMs: head.timeMs,
      endMs: head.timeMs,
      domain: domainOf(head.host),
      samplingRate: 1,
      ...changes,
    };
  }

  function teardown(message: string, flow: LoggedFlow): LineVerdict {
    const found = TEARDOWN.exec(message);
    if (found === null) return 'bad_address';
    const [, id, one, onePort, other, otherPort, hours, minutes, seconds, bytes, reason] = found;
    const key = `${head.host}/${id}`;
    const byBuilt = built.get(key);
    built.delete(key);
    const second = byBuilt ?? openedBySecond(Number(onePort), Number(otherPort));
    if (second === null) return 'no_direction';
    const durationMs = 1000 * (3600 * Number(hours) + 60 * Number(minutes) + Number(seconds));
    const verdict = fillSession(
      words({
        source: second ? other : one,
        sourcePort: second ? otherPort : onePort,
        destination: second ? one : other,
        destinationPort: second ? onePort : otherPort,
        outcome: 'allowed',
        startMs: head.timeMs < 0 ? head.timeMs : Math.max(0, head.timeMs - durationMs),
      }),
      flow,
    );
    if (verdict !== 'flow') return verdict;
    const { forward, reply } = flow;
    if (Number(bytes) > 0) {
      // Payload passed, so that the handshake was whole, whichever side sent the payload.
      const closed = reason.includes('TCP FINs') ? FIN : 0;
      forward.flags = SYN | ACK | closed;
      reply.flags = SYN | ACK | closed;
      reply.seen = true;
    } else if (reason.includes('SYN Timeout')) {
      forward.flags = SYN;
    }
    return 'flow';
  }

  function denied(id: string, message: string, flow: LoggedFlow): LineVerdict {
    const byList = BY_LIST.exec(message);
    if (byList !== null) {
      const [, verdict, protocol, source, sourcePort, destination, destinationPort, hits] = byList;
      return fillSession(
        words({
          source,
          sourcePort,
          destination,
          destinationPort,
          protocol,
          packets: hits,
          outcome: verdict === 'denied' ? 'denied' : 'allowed',
        }),
        flow,
      );
    }
    const found = BY_GROUP.exec(message) ?? NO_CONNECTION.exec(message);
    // A host by its name (`names`), perhaps: a denied TCP connection is not passed over as another event.
    if (found === null) return OF_TCP.has(id) && /\btcp\b/i.test(message) ? 'bad_address' : 'other_event';
    const [, protocol, source, sourcePort, destination, destinationPort, rest = ''] = found;
    const flags = / flags ([A-Z ]+?) +on /.exec(rest)?.[1] ?? '';
    // 106001 is said of SYN only (its text: "inbound TCP connection denied").
    return fillSession(
      words({
        source,
        sourcePort,
        destination,
        destinationPort,
        protocol: protocol.replace('protocol ', ''),
        packets: '1',
        flags: flagWords(flags) || (id === '106001' ? SYN : 0),
      }),
      flow,
    );
  }

  function parse(text: string, start: number, end: number, flow: LoggedFlow): LineVerdict {
    const line = text.slice(start, end);
    const found = MESSAGE.exec(line);
    if (found === null) return 'other_event';
    const [, id, message] = found;
    readSyslogHead(line, clues, head);
    if (id === '302013') return noteBuilt(message);
    if (id === '302014') return teardown(message, flow);
    if (isFtdConnection(id)) return readFtdConnection(id, message, head.timeMs, domainOf(head.host), flow);
    return id.startsWith('1060') || id === '106100' ? denied(id, message, flow) : 'other_event';
  }
  return { name: 'Cisco ASA syslog', parse };
}

function domainOf(host: string): number {
  return host === '' ? LOG_DOMAIN.ciscoAsa : hashOf(host);
}

/** True when only the first port is a server's, false when only the second is, null when the ports do not tell. */
function openedBySecond(first: number, second: number): boolean | null {
  if (first < FIRST_CLIENT_PORT === second < FIRST_CLIENT_PORT) return null;
  return first < FIRST_CLIENT_PORT;
}
