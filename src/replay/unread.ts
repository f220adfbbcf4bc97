/**
 * Files of which nothing could be read, and why: silence about them would look like a quiet network.
 *
 * A file that gave a flow was read. So was one that says itself that there was nothing (AWS NODATA, sessions without a
 * packet). AWS SKIPDATA is none of these: records were lost. A log with a header and nothing under it is an empty one: that is said only where no file gave anything.
 */

import { RogueSmtpError } from '../errors.ts';
import type { CaptureCounters } from './capture/capture.ts';
import type { FlowLogCounters } from './flow-log/flow-log.ts';

/** What became of the datagrams of a capture. */
export interface CaptureYield {
  /** Datagrams that are exports of a version that is known. */
  understood: number;
  flows: number;
}

export interface ReadInput {
  readonly file: string;
  readonly flows: number;
  /** Why it counts as unread when it gave no flow. */
  readonly reason: string;
  /** It was read, and there was nothing in it: no failure of its own, nor where it is the only file. */
  readonly empty?: 'certainly' | 'perhaps';
}

/** The files to be told of, after all of them were read. */
export function unreadOf(inputs: readonly ReadInput[]): { readonly file: string; readonly reason: string }[] {
  const anything = inputs.some(({ flows, empty }) => flows > 0 || empty === 'certainly');
  return inputs
    .filter(({ flows, empty }) => flows === 0 && (empty === undefined || (empty === 'perhaps' && !anything)))
    .map(({ file, reason }) => ({ file, reason }));
}

/** What to say of a capture that gave no flow. */
export function unreadCapture(counters: CaptureCounters, { understood }: CaptureYield): string {
  const { packets, datagrams, skipped } = counters;
  if (packets === 0) return 'the capture holds no packet';
  const traffic = skipped.not_udp > 0 || datagrams > 0;
  if (understood > 0)
    return `${understood} datagrams of flow exports gave no flow: their templates are not in the file, or it holds no flow records`;
  if (traffic) {
    return (
      `a capture of traffic, not of flow exports: none of its ${packets} packets (${datagrams} UDP) is one of NetFlow, IPFIX or sFlow. ` +
      '--packets groups its packets into flows'
    );
  }
  return `none of its ${packets} packets can be read${inWords(skipped)}`;
}

/** What to say of a capture of traffic that gave no flow. */
export function unreadPackets({ packets, skipped }: CaptureCounters): string {
  return `none of its ${packets} packets is an IP packet that can be read${inWords(skipped)}`;
}

/** What to say of a capture that was read as traffic, when it seems to hold exports; null when it does not. */
export function exportsHint(file: string, exports: number, packets: number): string | null {
  if (exports === 0) return null;
  return `${file}: ${exports} of ${packets} packets look like NetFlow, IPFIX or sFlow. Read it without --packets to see the flows that they report`;
}

/** What to say of a log that gave no flow, and whether that is right. */
export function unreadLog(counters: FlowLogCounters): Pick<ReadInput, 'reason' | 'empty'> {
  const { skipped, rejected, lines, format } = counters;
  const { no_data = 0, no_packets = 0, not_ip = 0, header = 0 } = skipped;
  const reason = `${format}: no flow could be read from ${lines} lines${inWords({ ...skipped, ...rejected })}`;
  if (no_data + no_packets + not_ip > 0) return { reason, empty: 'certainly' };
  return header === lines ? { reason, empty: 'perhaps' } : { reason };
}

/** `: not_udp 3, truncated 1`; empty when all are zero. */
export function inWords(counts: Readonly<Record<string, number>>, intro = ':'): string {
  const parts = Object.entries(counts).filter(([, n]) => n > 0);
  return parts.length === 0 ? '' : `${intro} ${parts.map(([name, n]) => `${name} ${n}`).join(', ')}`;
}

/** Throws RogueSmtpError `io` when there is a file of which nothing could be read. */
export function refuseUnread(unread: readonly { readonly file: string; readonly reason: string }[]): void {
  if (unread.length === 0) return;
  const files = unread.map(({ file, reason }) => `${file}: ${reason}`);
  throw new RogueSmtpError('io', `nothing was read of ${files.join('; nor of ')}`);
}
