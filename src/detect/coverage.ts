/**
 * What we could not see, as alerts: exporters that fell silent, flow records lost on the way, flows that a bound cut.
 *
 * "No offenders" says nothing about traffic that nobody reported, so a gap is told as loudly as an offence. Pure: it is
 * shown the counters now and then, with the time, and must never tell the same gap twice. However many exporters fail,
 * each cause makes at most one alert an interval, which names them all up to a bound.
 */

import type { Config } from '../config/schema.ts';
import type { UnreadReason } from '../decode/packet/walk.ts';
import type { Alert } from '../messages/alert.ts';
import { hostlessAlert } from '../messages/hostless-alert.ts';

const NO_PORTS: UnreadReason = 'no_ports';
/** Of data that became no row, because nobody knows its layout. */
const WITHOUT_TEMPLATE: readonly string[] = ['no_template', 'ambiguous_template'] satisfies UnreadReason[];

type CoverageConfig = Config['coverage'];

/** One exporter and observation domain; counters since the start of the process. */
export interface ExporterSight {
  readonly address: string;
  readonly domain: number;
  /** The agent of sFlow, where a relay stands between. */
  readonly agent?: string;
  readonly lastSeenMs: number;
  /** Gaps in the sequence numbers in which an unknown number was lost. */
  readonly unknown?: number;
  /** Units lost by the sequence numbers, and units received: the same units. */
  readonly lost: number;
  readonly received: number;
  /** Datagrams received, and those of them whose number had come before or was overtaken. */
  readonly datagrams?: number;
  readonly reordered?: number;
  /** Flow records received, and those whose addresses could not be read and that may be mail, with the reasons. */
  readonly flows?: number;
  readonly unread?: number;
  readonly unreadReasons?: readonly string[];
  /** Templates that came with another layout under the same id. */
  readonly templatesRedefined?: number;
}

export interface Sight {
  readonly exporters: Iterable<ExporterSight>;
  /** Datagrams that the kernel dropped and those received, over all listeners. */
  readonly kernelDrops: number;
  readonly datagrams: number;
  /** Flows (or messages) that the spool refused, by stream. */
  readonly spoolDropped: Readonly<Record<string, number>>;
  /** The table of exporters was full: those that made room for others, and datagrams of those that found no room. */
  readonly exportersEvicted?: number;
  readonly exportersRefused?: number;
  /** Why it refused the newest of them, by stream, in words. Absent: its bound was reached. */
  readonly spoolRefusedFor?: Readonly<Record<string, string>>;
}

export interface CoverageWatch {
  /** Alerts that are due, each once. `nowMs` never goes backwards. */
  observe(nowMs: number, sight: Sight): Alert[];
  readonly counters: { readonly alerts: number };
}

export interface CoverageWatchOptions {
  readonly config: CoverageConfig;
  readonly policyVersion: string;
  /** Tells the counters of one run from those of the next. */
  readonly startedAtMs: number;
  /** Exporters that must be heard, in text form: silence counts from the start for those that never were. */
  readonly expected: readonly string[];
}

type Cause = NonNullable<Alert['coverage']>['cause'];

/** An exporter with the counters that losses are judged by. */
type Counted = ExporterSight & Required<Pick<ExporterSight, 'unknown' | 'datagrams' | 'reordered'>>;

interface KnownExporter {
  domain: number;
  lastSeenMs: number;
  heard: boolean;
  /** When the silence that is told now began; null while it is heard. */
  silentSinceMs: number | null;
}

interface Gap {
  readonly cause: Cause;
  readonly exporters: readonly { readonly address: string; readonly domain: number }[];
  readonly sinceMs: number;
  readonly lost: number;
  readonly reasons: readonly string[];
  /** What makes the event this one and no other. */
  readonly identity: readonly (string | number)[];
}

/** Exporters that one alert names; more are counted in its words. */
const MAX_NAMED = 16;
/** A few lost units of a quiet exporter are no percentage worth telling. */
const MIN_LOST = 10;
/** Networks reorder a few datagrams in a hundred; of two exporters with neighbouring numbers half seem late. */
const MIXED_SHARE = 0.25;
const MINUTE_MS = 60_000;

export function createCoverageWatch(options: CoverageWatchOptions): CoverageWatch {
  const { config, startedAtMs } = options;
  const known = new Map<string, KnownExporter>();
  for (const address of options.expected)
    known.set(address, { domain: 0, lastSeenMs: startedAtMs, heard: false, silentSinceMs: null });
  const expected = new Set(options.expected);
  const toldMs = new Map<Cause, number>();
  const counters = { alerts: 0 };
  /** Figures at the beginning of the present window of losses. */
  let windowMs = startedAtMs;
  let lossBefore = new Map<string, Counted>();
  let kernelBefore = { drops: 0, datagrams: 0 };
  let unreadBefore: UnreadBefore = new Map();
  let unreadSinceMs = startedAtMs;
  let spoolBefore: Readonly<Record<string, number>> = {};
  let spoolToldMs = startedAtMs;
  let crowdBefore = { evicted: 0, refused: 0 };
  let crowdToldMs = startedAtMs;
  let redefinedBefore: ReadonlyMap<string, number> = new Map();
  let redefinedToldMs = startedAtMs;

  const isDue = (cause: Cause, nowMs: number) =>
    nowMs - (toldMs.get(cause) ?? Number.NEGATIVE_INFINITY) >= config.interval;

  function hear(exporters: readonly ExporterSight[]): void {
    const newest = new Map<string, ExporterSight>();
    for (const sight of exporters) {
      const other = newest.get(sight.address);
      if (other === undefined || sight.lastSeenMs > other.lastSeenMs) newest.set(sight.address, sight);
    }
    for (const [address, { domain, lastSeenMs }] of newest) {
      const exporter = known.get(address);
      if (exporter === undefined)
        known.set(address, { domain, lastSeenMs, heard: true, silentSinceMs: null });
      else if (lastSeenMs > exporter.lastSeenMs || !exporter.heard) {
        exporter.domain = domain;
        exporter.lastSeenMs = lastSeenMs;
        exporter.heard = true;
      }
    }
    // What the decoder's table gave up is not watched on, so that forged exporters do not fill this one.
    for (const address of known.keys())
      if (!newest.has(address) && !expected.has(address)) known.delete(address);
  }

  function silence(nowMs: number): Gap[] {
    if (!isDue('exporter_silent', nowMs)) return [];
    const silent = [...known].filter(
      ([, exporter]) => exporter.silentSinceMs === null && nowMs - exporter.lastSeenMs >= config.silent_after,
    );
    if (silent.length === 0) return [];
    for (const [, exporter] of silent) exporter.silentSinceMs = exporter.lastSeenMs;
    return [
      {
        cause: 'exporter_silent',
        exporters: silent.map(([address, { domain }]) => ({ address, domain })),
        sinceMs: Math.min(...silent.map(([, { lastSeenMs }]) => lastSeenMs)),
        lost: 0,
        reasons: named(silent, ([address, { lastSeenMs, heard }]) =>
          heard
            ? `exporter ${address} is silent since ${iso(lastSeenMs)}: what passes there is not seen`
            : `exporter ${address} was never heard since the start at ${iso(startedAtMs)}`,
        ),
        identity: silent.flatMap(([address, { lastSeenMs }]) => [address, lastSeenMs]),
      },
    ];
  }

  function returns(nowMs: number): Gap[] {
    if (!isDue('exporter_returned', nowMs)) return [];
    const back = [...known].flatMap(([address, exporter]) => {
      const { silentSinceMs, lastSeenMs, domain } = exporter;
      if (silentSinceMs === null || nowMs - lastSeenMs >= config.silent_after) return [];
      return [{ address, domain, exporter, silentSinceMs, lastSeenMs }];
    });
    if (back.length === 0) return [];
    for (const { exporter } of back) exporter.silentSinceMs = null;
    return [
      {
        cause: 'exporter_returned',
        exporters: back.map(({ address, domain }) => ({ address, domain })),
        sinceMs: Math.min(...back.map(({ silentSinceMs }) => silentSinceMs)),
        lost: 0,
        reasons: named(
          back,
          ({ address, silentSinceMs, lastSeenMs }) =>
            `exporter ${address} is heard again, after ${minutes(lastSeenMs - silentSinceMs)} of which nothing is known`,
        ),
        identity: back.flatMap(({ address, silentSinceMs }) => [address, silentSinceMs]),
      },
    ];
  }

  /** Losses are judged once an interval, over that interval. */
  function losses(nowMs: number, sight: Sight, exporters: readonly ExporterSight[]): Gap[] {
    if (nowMs - windowMs < config.interval) return [];
    const now = new Map(
      exporters.map((sight): [string, Counted] => [
        `${sight.address} ${sight.domain} ${sight.agent ?? ''}`,
        { unknown: 0, datagrams: 0, reordered: 0, ...sight },
      ]),
    );
    const lossy = [...now].flatMap(([key, one]) => {
      const { address, domain, agent } = one;
      const before = lossBefore.get(key);
      const newlyLost = grown(before?.lost, one.lost);
      const newlyUnknown = grown(before?.unknown, one.unknown);
      const share = newlyLost / Math.max(1, newlyLost + grown(before?.received, one.received));
      const isLossy = newlyLost >= MIN_LOST && share >= config.loss;
      const datagrams = grown(before?.datagrams, one.datagrams);
      const late = grown(before?.reordered, one.reordered);
      const isMixed = late >= MIN_LOST && late >= MIXED_SHARE * datagrams;
      if (!isLossy && !isMixed && newlyUnknown === 0) return [];
      const counted = { newlyLost: isLossy ? newlyLost : 0, newlyUnknown, newlyLate: isMixed ? late : 0 };
      return [{ address, domain, agent, ...counted, datagrams, share }];
    });
    const drops = grown(kernelBefore.drops, sight.kernelDrops);
    const dropShare = drops / Math.max(1, drops + grown(kernelBefore.datagrams, sight.datagrams));
    const sinceMs = windowMs;
    windowMs = nowMs;
    lossBefore = now;
    kernelBefore = { drops: sight.kernelDrops, datagrams: sight.datagrams };
    const gaps: Gap[] = [];
    if (lossy.length > 0) {
      gaps.push({
        cause: 'sequence_loss',
        exporters: lossy,
        sinceMs,
        lost: lossy.reduce((sum, { newlyLost }) => sum + newlyLost, 0),
        reasons: named(
          lossy,
          ({ address, domain, agent, newlyLost, newlyUnknown, newlyLate, datagrams, share }) => {
            const who = `exporter ${address}${agent === undefined ? '' : ` agent ${agent}`} domain ${domain}`;
            const lost =
              newlyLost === 0 ? [] : [`${newlyLost} lost by its sequence numbers (${percent(share)})`];
            const unknown =
              newlyUnknown === 0
                ? []
                : [`an unknown number lost: its sequence numbers jumped by more than it can have sent`];
            const late =
              newlyLate === 0
                ? []
                : [`${newlyLate} of ${datagrams} datagrams late or twice by their numbers`];
            const why =
              newlyLate === 0
                ? ''
                : ': a second exporter sends from its address and port (NAT, a relay), or the network doubles or reorders ' +
                  'its datagrams, and nobody knows what is lost';
            return `${who}: ${[...lost, ...unknown, ...late].join(', and ')} in ${minutes(nowMs - sinceMs)}${why}`;
          },
        ),
        identity: [
          sinceMs,
          ...lossy.flatMap(({ address, domain, newlyLost, newlyUnknown, newlyLate }) => [
            address,
            domain,
            newlyLost,
            ...(newlyUnknown === 0 ? [] : [`unknown ${newlyUnknown}`]),
            ...(newlyLate === 0 ? [] : [`late ${newlyLate}`]),
          ]),
        ],
      });
    }
    if (drops >= MIN_LOST && dropShare >= config.loss) {
      gaps.push({
        cause: 'kernel_drops',
        exporters: [],
        sinceMs,
        lost: drops,
        reasons: [
          `the kernel dropped ${drops} datagrams (${percent(dropShare)}) in ${minutes(nowMs - sinceMs)}: the receive buffer was full`,
        ],
        identity: [sinceMs, drops],
      });
    }
    return gaps;
  }

  function unread(nowMs: number, exporters: readonly ExporterSight[]): Gap[] {
    if (!isDue('unread_addresses', nowMs)) return [];
    const gaps = unreadGaps(exporters, unreadBefore, config.loss, unreadSinceMs);
    if (gaps.length === 0) return gaps;
    unreadBefore = new Map(exporters.map((sight) => [keyOf(sight), sight]));
    unreadSinceMs = nowMs;
    return gaps;
  }

  function cuts(nowMs: number, { spoolDropped, spoolRefusedFor }: Sight): Gap[] {
    if (!isDue('spool_cut', nowMs)) return [];
    const cut = Object.entries(spoolDropped)
      .map(([stream, total]) => ({ stream, rows: grown(spoolBefore[stream], total) }))
      .filter(({ rows }) => rows > 0);
    if (cut.length === 0) return [];
    spoolBefore = { ...spoolDropped };
    const sinceMs = spoolToldMs;
    spoolToldMs = nowMs;
    return [
      {
        cause: 'spool_cut',
        exporters: [],
        sinceMs,
        lost: cut.reduce((sum, { rows }) => sum + rows, 0),
        reasons: cut.map(
          ({ stream, rows }) =>
            `${rows} rows of ${stream} were not kept: ${spoolRefusedFor?.[stream] || 'the spool is full (spool.max_bytes)'}`,
        ),
        identity: [sinceMs, ...cut.flatMap(({ stream, rows }) => [stream, rows])],
      },
    ];
  }

  function crowds(nowMs: number, { exportersEvicted = 0, exportersRefused = 0 }: Sight): Gap[] {
    if (!isDue('exporters_full', nowMs)) return [];
    const evicted = grown(crowdBefore.evicted, exportersEvicted);
    const refused = grown(crowdBefore.refused, exportersRefused);
    if (evicted + refused === 0) return [];
    crowdBefore = { evicted: exportersEvicted, refused: exportersRefused };
    const sinceMs = crowdToldMs;
    crowdToldMs = nowMs;
    return [
      {
        cause: 'exporters_full',
        exporters: [],
        sinceMs,
        lost: refused,
        reasons: [
          `more source addresses sent exports than collector.limits.exporters allows: ${evicted} that were heard for a moment ` +
            `made room for others, and ${refused} datagrams of newcomers were refused. Source addresses can be forged: name ` +
            'your routers in collector.exporters',
        ],
        identity: [sinceMs, evicted, refused],
      },
    ];
  }

  function redefinitions(nowMs: number, exporters: readonly ExporterSight[]): Gap[] {
    if (!isDue('template_redefined', nowMs)) return [];
    const now = new Map(
      exporters.map((one) => [`${one.address} ${one.domain}`, one.templatesRedefined ?? 0]),
    );
    const changed = exporters.flatMap(({ address, domain }) => {
      const key = `${address} ${domain}`;
      const templates = grown(redefinedBefore.get(key), now.get(key) ?? 0);
      return templates > 0 ? [{ address, domain, templates }] : [];
    });
    redefinedBefore = now;
    if (changed.length === 0) return [];
    const sinceMs = redefinedToldMs;
    redefinedToldMs = nowMs;
    return [
      {
        cause: 'template_redefined',
        exporters: changed,
        sinceMs,
        lost: 0,
        reasons: named(
          changed,
          ({ address, domain, templates }) =>
            `exporter ${address} domain ${domain} changed the layout of ${templates} templates that were in use: it was ` +
            'reconfigured, a second exporter sends from its address and port (NAT, a relay), or somebody forges its datagrams. ' +
            'Its records are not read until it is clear which layout they have. Give each exporter an address of its own',
        ),
        identity: [
          sinceMs,
          ...changed.flatMap(({ address, domain, templates }) => [address, domain, templates]),
        ],
      },
    ];
  }

  return {
    counters,
    observe(nowMs, sight) {
      const exporters = [...sight.exporters];
      hear(exporters);
      const gaps = [
        ...returns(nowMs),
        ...silence(nowMs),
        ...losses(nowMs, sight, exporters),
        ...unread(nowMs, exporters),
        ...cuts(nowMs, sight),
        ...crowds(nowMs, sight),
        ...redefinitions(nowMs, exporters),
      ];
      for (const { cause } of gaps) toldMs.set(cause, nowMs);
      counters.alerts += gaps.length;
      return gaps.map((gap) => toAlert(gap, options, nowMs));
    },
  };
}

type UnreadBefore = ReadonlyMap<string, ExporterSight>;

const keyOf = ({ address, domain }: ExporterSight) => `${address} ${domain}`;

/** Traffic whose addresses were not read since `before`, where it is at least this share of an exporter's. */
function unreadGaps(
  exporters: readonly ExporterSight[],
  before: UnreadBefore,
  share: number,
  sinceMs: number,
): Gap[] {
  const blind = exporters.flatMap((sight) => {
    const { address, domain, unreadReasons = [] } = sight;
    const known = before.get(keyOf(sight));
    const count = grown(known?.unread, sight.unread ?? 0);
    const flows = grown(known?.flows, sight.flows ?? 0);
    return count > 0 && count >= share * flows ? [{ address, domain, count, flows, unreadReasons }] : [];
  });
  if (blind.length === 0) return [];
  return [
    {
      cause: 'unread_addresses',
      exporters: blind,
      sinceMs,
      lost: blind.reduce((sum, { count }) => sum + count, 0),
      reasons: named(
        blind,
        ({ address, domain, count, flows, unreadReasons }) =>
          `exporter ${address} domain ${domain}: ${unreadOf(count, flows, unreadReasons)} ${unreadInWords(unreadReasons)}: mail in them is not seen`,
      ),
      identity: [sinceMs, ...blind.flatMap(({ address, domain, count }) => [address, domain, count])],
    },
  ];
}

function unreadOf(count: number, flows: number, reasons: readonly string[]): string {
  return isWithoutRow(reasons)
    ? `${count} records or sets of records, beside ${flows} records that have rows,`
    : `of ${flows} records ${count}`;
}

/** Whether records that were not read are not among those that have rows. */
export function isWithoutRow(reasons: readonly string[]): boolean {
  return reasons.some((reason) => WITHOUT_TEMPLATE.includes(reason));
}

/** What is missing in records that were not read, to follow their number. */
export function unreadInWords(reasons: readonly string[]): string {
  const others = reasons.filter((reason) => !WITHOUT_TEMPLATE.includes(reason));
  if (others.length === 0 && reasons.length > 0)
    return `have no template that is theirs for sure (${reasons.join(', ')})`;
  const withoutAddress = others.filter((reason) => reason !== NO_PORTS);
  if (reasons.length === others.length && withoutAddress.length === 0)
    return 'carry no ports, or no protocol beside them';
  const what = withoutAddress.length < others.length ? 'address or no port' : 'address';
  const template = reasons.length === others.length ? '' : ' or no template';
  return `have no ${what}${template} that could be read (${reasons.join(', ')})`;
}

/** The same over the whole of a replay, which nobody watches while it goes on. */
export function unreadAlerts(
  exporters: readonly ExporterSight[],
  options: Pick<CoverageWatchOptions, 'config' | 'policyVersion' | 'startedAtMs'>,
  nowMs: number,
): Alert[] {
  const { config, startedAtMs } = options;
  return unreadGaps(exporters, new Map(), config.loss, startedAtMs).map((gap) =>
    toAlert(gap, options, nowMs),
  );
}

function toAlert(
  gap: Gap,
  { policyVersion, startedAtMs }: Pick<CoverageWatchOptions, 'policyVersion' | 'startedAtMs'>,
  nowMs: number,
): Alert {
  const { cause, exporters, sinceMs, lost, reasons, identity } = gap;
  return {
    ...hostlessAlert({
      kind: 'coverage',
      identity: [startedAtMs, cause, ...identity],
      sinceMs,
      nowMs,
      exporters: exporters
        .slice(0, MAX_NAMED)
        .map(({ address, domain }) => ({ address, domain, interface: 0 })),
      reasons: [...reasons],
      policy_version: policyVersion,
    }),
    coverage: { cause, exporters: exporters.length, lost },
  };
}

function named<Item>(items: readonly Item[], describe: (item: Item) => string): string[] {
  const reasons = items.slice(0, MAX_NAMED).map(describe);
  if (items.length > MAX_NAMED) reasons.push(`and ${items.length - MAX_NAMED} exporters more`);
  return reasons;
}

/** Counters only grow, unless the entry was given up and made anew: then all of it is new. */
function grown(before: number | undefined, now: number): number {
  return before === undefined || now < before ? now : now - before;
}

const iso = (ms: number) => new Date(ms).toISOString();
const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
const minutes = (ms: number) => `${Math.max(1, Math.round(ms / MINUTE_MS))} min`;
