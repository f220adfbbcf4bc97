/**
 * Tells losses of the collector in the log: what was lost since the last report, under its reasons, and what to do.
 *
 * Called now and then, never per datagram, so that a flood of bad datagrams is not a flood of log lines.
 */

import { platform } from 'node:os';
import type { Logger } from 'pino';
import type { CollectorCounters } from './collector-counters.ts';
import type { RefusedExporter } from './exporter-access.ts';
import type { Listener } from './listener.ts';

export interface LossContext {
  /** What the stream said when it failed last. */
  readonly failure?: string;
  /** Some of the exporters that are not on the allow-list. */
  readonly refused: readonly RefusedExporter[];
  /** Some of the exporters that were over their limit since the last report. */
  readonly limited: readonly string[];
}

type Counts = Readonly<Record<string, number>>;

/** Each call of the result tells what was lost since the call before; nothing when nothing was. */
export function createLossReport(
  counters: CollectorCounters,
  log: Logger,
  context: () => LossContext,
): () => void {
  let records: Counts = {};
  let flows: Counts = {};
  let mail: Counts = {};
  let kernel: Counts = {};

  return () => {
    const nowRecords = { ...counters.recordsDropped };
    const nowKernel = Object.fromEntries(
      counters.listeners.map((listener) => [listener.name, listener.kernelDrops]),
    );
    const { not_archived: _kept, ...nowFlows } = counters.dropped.flows;
    const nowMail = { ...counters.dropped.mail };
    const lost = {
      kernel: growth(kernel, nowKernel),
      records: growth(records, nowRecords),
      flows: growth(flows, nowFlows),
      mail: growth(mail, nowMail),
    };
    records = nowRecords;
    kernel = nowKernel;
    flows = nowFlows;
    mail = nowMail;
    const { failure, refused, limited } = context();
    if (lost.kernel !== null)
      log.warn(
        { datagrams: lost.kernel },
        'the kernel dropped datagrams: the receive buffer was full (see rogue-smtp check)',
      );
    if (lost.records?.exporter_not_allowed !== undefined)
      log.warn(
        { datagrams: lost.records.exporter_not_allowed, exporters: refused.map(({ address }) => address) },
        'datagrams of exporters that are not in collector.exporters',
      );
    if (lost.records?.rate_limited !== undefined)
      log.warn(
        { datagrams: lost.records.rate_limited, exporters: limited },
        'exporters sent more than collector.limits.datagrams_per_second',
      );
    if (lost.records !== null) log.info({ dropped: lost.records }, 'input that could not be decoded');
    if (lost.flows !== null || lost.mail !== null)
      log.error({ flows: lost.flows, mail: lost.mail, failure }, 'the stream did not take decoded flows');
  };
}

function growth(before: Counts, after: Counts): Record<string, number> | null {
  const grown = Object.entries(after)
    .map(([name, count]) => [name, count - (before[name] ?? 0)] as const)
    .filter(([, count]) => count > 0);
  return grown.length === 0 ? null : Object.fromEntries(grown);
}

/** A small receive buffer loses datagrams whenever the program is busy for a moment, so it is told at the start. */
export function warnOfSmallBuffers(listeners: readonly Listener[], asked: number, log: Logger): void {
  const granted = Math.min(...listeners.map((listener) => listener.receiveBuffer()));
  if (granted >= asked) return;
  const advice =
    platform() === 'linux'
      ? `raise net.core.rmem_max: sysctl -w net.core.rmem_max=${asked}, or ReceiveBuffer= of the socket unit`
      : 'raise the limit of the system for socket buffers';
  log.warn({ asked, granted }, `the receive buffer is smaller than collector.receive_buffer; ${advice}`);
}
