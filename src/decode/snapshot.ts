/**
 * Templates and sampling over a restart, as plain JSON.
 *
 * What comes back passes the same checks as what comes over the network, and the same limits: a damaged or forged
 * snapshot costs templates, never more. Templates older than a day stay away, since a router that was replaced or
 * reconfigured meanwhile may use their ids for something else.
 */

import { z } from 'zod';
import { formatAddress, parseAddress } from '../flow/address.ts';
import { FLOW_VERSION } from '../flow/columns.ts';
import type { ExportProcess } from './export-process.ts';
import type { Domain, ExporterTable } from './exporter-table.ts';
import { remember, type SamplingTable } from './sampling.ts';
import { NO_UPTIME } from './sequence.ts';
import type { SetDecoder } from './set-decoder.ts';
import { createTemplate } from './template.ts';
import { readTemplateRecord, TEMPLATE_FORMS } from './template-wire.ts';

const MAX_AGE_MS = 86_400_000;
const FORMAT = 1;

const u32 = z.number().int().min(0).max(0xffffffff);
const time = z.number().min(0).max(1e13);
const rates = z.array(z.tuple([z.number().min(0), u32])).max(256);

const templateSchema = z.object({
  form: z.enum(TEMPLATE_FORMS),
  definition: z.base64(),
  seen_ms: time,
});

const domainSchema = z.object({
  exporter: z.string(),
  port: z.number().int().min(0).max(65535),
  version: z.enum(['v9', 'ipfix']),
  domain: u32,
  seen_ms: time,
  /** Absent in snapshots of earlier versions. */
  uptime_ms: u32.nullable().optional(),
  export_ms: z.number().min(0).max(1e13).optional(),
  init_ms: time,
  default_rate: u32,
  samplers: rates,
  selectors: rates,
  /** Absent in snapshots of earlier versions. */
  interfaces: z
    .array(z.tuple([z.number().min(0), u32]))
    .max(4096)
    .optional(),
  template_rates: rates.optional(),
  templates: z.array(z.unknown()),
});

const snapshotSchema = z.object({ format: z.literal(FORMAT), domains: z.array(z.unknown()) });

/** Everything that `restoreSnapshot` takes. */
export function takeSnapshot(table: ExporterTable): z.infer<typeof snapshotSchema> {
  const crowded = table.isCrowded;
  const domains = [...table.domains()].filter(
    ({ version, exporter }) => isTemplated(version) && (exporter.proven || !crowded),
  );
  return { format: FORMAT, domains: domains.flatMap(processesOf) };
}

function isTemplated(version: string): version is 'v9' | 'ipfix' {
  return version === 'v9' || version === 'ipfix';
}

/** An entry for each process; of several with one port only for the one heard last. */
function processesOf(domain: Domain) {
  const { processes, exporter } = domain;
  const single = processes.all.length === 1;
  const byPort = new Map<number, ExportProcess>();
  for (const process of [...processes.all].sort((a, b) => a.lastSeenMs - b.lastSeenMs))
    byPort.set(single ? exporter.port : process.port, process);
  return [...byPort]
    .filter(([, { byId }]) => byId.size > 0)
    .map(([port, { byId, sampling, initMs, lastSeenMs, lastUptimeMs, lastExportMs }]) => ({
      exporter: formatAddress(domain.address),
      port,
      version: domain.version,
      domain: domain.domain,
      seen_ms: lastSeenMs,
      uptime_ms: lastUptimeMs < 0 ? null : lastUptimeMs,
      export_ms: lastExportMs,
      init_ms: initMs,
      default_rate: sampling.defaultRate,
      samplers: [...sampling.samplers],
      selectors: [...sampling.selectors],
      interfaces: [...sampling.interfaces],
      template_rates: [...sampling.templates],
      templates: [...byId.values()]
        .filter(({ doubt }) => doubt === null)
        .map(({ form, definition, seenMs }) => ({
          form,
          definition: definition.toString('base64'),
          seen_ms: seenMs,
        })),
    }));
}

/** Takes over what is valid, fits and is young enough at `nowMs`; returns the number of templates. */
export function restoreSnapshot(sets: SetDecoder, snapshot: unknown, nowMs: number): number {
  const parsed = snapshotSchema.safeParse(snapshot);
  if (!parsed.success) return 0;
  let templates = 0;
  for (const entry of parsed.data.domains) {
    const domain = domainSchema.safeParse(entry);
    if (domain.success) templates += restoreDomain(sets, domain.data, nowMs);
  }
  return templates;
}

function restoreDomain(sets: SetDecoder, saved: z.infer<typeof domainSchema>, nowMs: number): number {
  const address = parseAddress(saved.exporter);
  const fresh = saved.templates
    .map((entry) => templateSchema.safeParse(entry))
    .flatMap((entry) => (entry.success && isYoung(entry.data.seen_ms, nowMs) ? [entry.data] : []))
    .filter(({ form }) => form.startsWith(saved.version));
  if (address === null || fresh.length === 0) return 0;
  const { version } = saved;
  const lastSeenMs = Math.min(saved.seen_ms, nowMs);
  const domain = sets.table.domain(
    address,
    saved.port,
    version,
    FLOW_VERSION[version],
    saved.domain,
    lastSeenMs,
  );
  if (domain === null) return 0;
  domain.lastSeenMs = Math.max(domain.lastSeenMs, lastSeenMs);
  const process = domain.processes.ofPort(saved.port);
  process.lastSeenMs = lastSeenMs;
  process.lastUptimeMs = saved.export_ms === undefined ? NO_UPTIME : (saved.uptime_ms ?? NO_UPTIME);
  process.lastExportMs = saved.export_ms ?? 0;
  process.initMs = saved.init_ms;
  restoreSampling(domain, process.sampling, saved);
  let restored = 0;
  for (const { form, definition, seen_ms: seenMs } of fresh) {
    const bytes = Buffer.from(definition, 'base64');
    if (bytes.length < 4) continue;
    const record = readTemplateRecord(bytes, 0, bytes.length, form, sets.maxFields);
    if (record.kind !== 'template' || record.next !== bytes.length) continue;
    if (sets.define({ domain, process }, createTemplate(record, form, bytes, seenMs))) restored++;
  }
  return restored;
}

function isYoung(seenMs: number, nowMs: number): boolean {
  return nowMs - seenMs <= MAX_AGE_MS;
}

function restoreSampling(domain: Domain, table: SamplingTable, saved: z.infer<typeof domainSchema>): void {
  table.defaultRate = saved.default_rate;
  domain.sawRate(saved.default_rate);
  for (const [own, entries] of [
    [table.samplers, saved.samplers],
    [table.selectors, saved.selectors],
    [table.interfaces, saved.interfaces ?? []],
    [table.templates, saved.template_rates ?? []],
  ] as const) {
    for (const [id, rate] of entries) {
      remember(own, id, rate, 4096);
      domain.sawRate(rate);
    }
  }
}
