/**
 * A message as syslog: RFC 5424 with structured data, or a CEF line in it.
 *
 * Names and hosts are other people's text: nothing in them may end a value, a message or a field. Pure.
 */

import type { SyslogTarget } from '../config/notify.ts';
import { type NotifyMessage, plainLine, type Severity } from './message.ts';

/** Numbers of RFC 5424 section 6.2.1. */
const SYSLOG_SEVERITY: Readonly<Record<Severity, number>> = {
  critical: 2,
  error: 3,
  warning: 4,
  notice: 5,
  info: 6,
};

const CEF_SEVERITY: Readonly<Record<Severity, number>> = {
  critical: 10,
  error: 8,
  warning: 5,
  notice: 3,
  info: 1,
};

/** 32473 is the number for examples (RFC 5612): rogue-smtp has none of its own. */
const SD_ID = 'rogue-smtp@32473';

export interface SyslogSender {
  readonly hostname: string;
  readonly pid: number;
  readonly version: string;
}

/** The message without framing, in UTF-8, at most `maxBytes` long. */
export function syslogText(
  { facility, form }: Pick<SyslogTarget, 'facility' | 'form'>,
  message: NotifyMessage,
  { hostname, pid, version }: SyslogSender,
  maxBytes: number,
): Buffer {
  const priority = facility * 8 + SYSLOG_SEVERITY[message.severity];
  const head = `<${priority}>1 ${message.at} ${headerField(hostname, 255)} rogue-smtp ${pid} ${headerField(message.kind, 32)}`;
  const text =
    form === 'cef'
      ? `${head} - ${cefLine(message, version)}`
      : `${head} ${structuredData(message)} ${BYTE_ORDER_MARK}${[message.subject, ...message.lines].join(' | ')}`;
  return cutBytes(Buffer.from(text), maxBytes);
}

/** RFC 5424 section 6.4: the text that follows is UTF-8. */
const BYTE_ORDER_MARK = '\ufeff';

/** RFC 5424 section 6: header fields are printable ASCII; `-` stands for nothing. */
const headerField = (text: string, most: number): string =>
  text.replace(/[^\x21-\x7e]/g, '').slice(0, most) || '-';

function structuredData({ id, thread, alert, state }: NotifyMessage): string {
  const values: Readonly<Record<string, string>> = {
    id,
    about: thread.key,
    state,
    ...(alert !== null && {
      kind: alert.kind,
      ...(alert.host !== '' && { host: alert.host }),
      ...(alert.site !== '' && { site: alert.site }),
      ...(alert.grade !== null && { grade: alert.grade }),
      ...(alert.incident_id !== '' && { incident: alert.incident_id }),
      block: alert.block.state,
      sessions: String(alert.sessions),
      destinations: String(alert.destinations.count),
    }),
  };
  const parameters = Object.entries(values).map(([name, value]) => `${name}="${sdValue(value)}"`);
  return `[${SD_ID} ${parameters.join(' ')}]`;
}

/** RFC 5424 section 6.3.3: these three are escaped within a value. */
const sdValue = (text: string): string => plainLine(text, 300).replace(/["\\\]]/g, '\\$&');

/** CEF version 0: fields of the header divided by `|`, then `key=value` pairs. */
function cefLine(
  { subject, lines, severity, alert, thread, kind, at, id }: NotifyMessage,
  version: string,
): string {
  const header = ['rogue-smtp', 'rogue-smtp', version, alert?.kind ?? kind, subject].map(cefHeader);
  const extension: Readonly<Record<string, string>> = {
    rt: String(Date.parse(at)),
    externalId: id,
    cs1Label: 'incident',
    cs1: thread.key,
    ...(alert !== null && {
      ...(isAddress(alert.host) && { [alert.host.includes(':') ? 'c6a2' : 'src']: alert.host }),
      ...(isAddress(alert.host) && alert.host.includes(':') && { c6a2Label: 'Source IPv6 Address' }),
      shost: alert.host,
      cs2Label: 'site',
      cs2: alert.site,
      cs3Label: 'grade',
      cs3: alert.grade ?? '',
      cnt: String(alert.sessions),
      cn1Label: 'destinations',
      cn1: String(alert.destinations.count),
      act: alert.block.state,
      ...(alert.ports.length > 0 && { dpt: String(alert.ports[0]), proto: 'TCP' }),
    }),
    msg: lines.join(' '),
  };
  const pairs = Object.entries(extension)
    .filter(([, value]) => value !== '')
    .map(([key, value]) => `${key}=${cefValue(value)}`);
  return `CEF:0|${header.join('|')}|${CEF_SEVERITY[severity]}|${pairs.join(' ')}`;
}

const isAddress = (host: string): boolean => /^[0-9A-Fa-f.:]+$/.test(host) && host !== '';

const cefHeader = (text: string): string => plainLine(text, 500).replace(/[\\|]/g, '\\$&');
const cefValue = (text: string): string => plainLine(text, 1000).replace(/[\\=]/g, '\\$&');

/** Never within a character (UTF-8 continuation bytes begin with 10). */
function cutBytes(bytes: Buffer, most: number): Buffer {
  if (bytes.length <= most) return bytes;
  let end = most;
  while (end > 0 && (bytes[end] & 0xc0) === 0x80) end--;
  return bytes.subarray(0, end);
}
