/**
 * Connection events of Cisco Secure Firewall Threat Defense (FTD) in syslog (Cisco Secure Firewall Threat Defense Syslog
 * Messages, "Security Event Syslog Messages"): 430002, a connection began, and 430003, it ended.
 *
 * `Name: value` between commas. The event at the end has the counts of both directions. A blocked connection has no end:
 * its beginning is the only event, and is read for that.
 */

import type { LineVerdict, LoggedFlow } from './flow-log.ts';
import { fillSession } from './session.ts';
import { readTime } from './values.ts';

const PAIR = /(?:^|, )([A-Z]\w{0,60}): ([^,]*)/g;
const BEGAN = '430002';

export function isFtdConnection(id: string): boolean {
  return id === BEGAN || id === '430003';
}

/** `message` is what stands behind the message's number; `writtenMs` the time of the line, -1 if unknown. */
export function readFtdConnection(
  id: string,
  message: string,
  writtenMs: number,
  domain: number,
  flow: LoggedFlow,
): LineVerdict {
  const values = new Map<string, string>();
  for (const [, name, value] of message.matchAll(PAIR)) if (!values.has(name)) values.set(name, value.trim());
  const action = values.get('AccessControlRuleAction') ?? '';
  const denied = /^block/i.test(action);
  if (id === BEGAN && !denied) return 'session_start';
  const began = values.get('FirstPacketSecond') ?? '';
  const firstMs = readTime(began, 0, began.length);
  const duration = Number(values.get('ConnectionDuration') ?? 0);
  const durationMs = duration >= 0 ? 1000 * duration : 0;
  const startMs = firstMs >= 0 || writtenMs < 0 ? firstMs : Math.max(0, writtenMs - durationMs);
  return fillSession(
    {
      source: values.get('SrcIP'),
      destination: values.get('DstIP'),
      sourcePort: values.get('SrcPort'),
      destinationPort: values.get('DstPort'),
      protocol: values.get('Protocol'),
      packets: values.get('InitiatorPackets'),
      bytes: values.get('InitiatorBytes'),
      replyPackets: values.get('ResponderPackets'),
      replyBytes: values.get('ResponderBytes'),
      outcome: denied ? 'denied' : action === '' ? 'unknown' : 'allowed',
      startMs,
      endMs: firstMs >= 0 ? firstMs + durationMs : writtenMs,
      domain,
      samplingRate: 1,
    },
    flow,
  );
}
