/**
 * `rogue-smtp top`: exporters, rates and offenders, live on a terminal; one table where stdout is not a terminal.
 *
 * `q`, Escape or Ctrl-C ends it. It works on the alternate screen, which it leaves however it ends, so that the terminal is
 * as it was before. An instance that goes away is said and asked again.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import type { LoadedConfig } from '../config/load.ts';
import { messageOf } from '../errors.ts';
import type { OffenderRow } from '../store/queries.ts';
import { type Client, runningClient } from './client.ts';
import { exporterLines, exportersTable } from './exporters.ts';
import { offendersTable } from './reports.ts';
import { selectOffenders } from './selection.ts';
import { askStatus, describeStatus, type StatusReport } from './status.ts';
import { printable } from './table.ts';

/** What `top` needs of a terminal: streams of the process, or those of a test. */
export interface TopTerminal {
  readonly stdin: NodeJS.ReadableStream & {
    readonly isTTY?: boolean;
    setRawMode?(on: boolean): unknown;
  };
  readonly stdout: NodeJS.WritableStream & {
    readonly isTTY?: boolean;
    readonly rows?: number;
    readonly columns?: number;
  };
}

const ENTER = '\x1b[?1049h\x1b[?25l';
const LEAVE = '\x1b[?25h\x1b[?1049l';
/** To the first cell; what stood there is written over line by line, so that nothing flickers. */
const HOME = '\x1b[H';
const ERASE_LINE = '\x1b[K';
const ERASE_BELOW = '\x1b[J';
const ESCAPE = '\x1b';
/** Ctrl-C and Ctrl-D come as characters while the terminal is raw. */
const END_KEYS = ['q', 'Q', '\x03', '\x04'];
const EXPORTERS_SHOWN = 12;

interface Picture {
  readonly report: StatusReport;
  readonly offenders: readonly OffenderRow[];
}

async function look(client: Client): Promise<Picture> {
  const [report, offenders] = await Promise.all([askStatus(client), client.offenders().catch(() => [])]);
  return {
    report,
    offenders: selectOffenders(offenders, {}, 'last').filter(({ state }) => state === 'open'),
  };
}

/** Lines of the whole picture, cut to the size of the terminal; infinite where there is none. */
export function topLines(
  { report, offenders }: Picture,
  size: { readonly columns: number; readonly rows: number },
): string[] {
  const { collection } = report.status;
  const exporters = exporterLines(collection, []);
  const nowMs = collection === undefined ? Date.now() : Date.parse(collection.at);
  const table = (text: string) => text.trimEnd().split('\n');
  const more = Math.max(0, (collection?.exporters_known ?? 0) - EXPORTERS_SHOWN);
  const lines = [
    ...describeStatus(report),
    '',
    ...(exporters.length === 0
      ? ['No exporter yet.']
      : table(exportersTable(exporters.slice(0, EXPORTERS_SHOWN), nowMs, size.columns))),
    ...(more === 0 ? [] : [`... and ${more} more: rogue-smtp exporters`]),
    '',
    ...(offenders.length === 0 ? ['No open incident.'] : table(offendersTable(offenders, size.columns))),
  ];
  const shown = lines.length <= size.rows ? lines : lines.slice(0, size.rows);
  return shown.map((line) => (line.length <= size.columns ? line : line.slice(0, size.columns)));
}

/** Resolves when the user ends it. Throws RogueSmtpError `unavailable` where no instance answers at first. */
export async function topCommand(
  loaded: LoadedConfig,
  flags: { readonly interval: number },
  terminal: TopTerminal,
): Promise<void> {
  const client = await runningClient(loaded);
  const first = await look(client);
  const { stdin, stdout } = terminal;
  if (stdout.isTTY !== true || stdin.isTTY !== true) {
    const endless = { columns: Number.POSITIVE_INFINITY, rows: Number.POSITIVE_INFINITY };
    stdout.write(`${topLines(first, endless).join('\n')}\n`);
    return;
  }
  await redraw(client, first, flags.interval, terminal);
}

async function redraw(
  client: Client,
  first: Picture,
  intervalMs: number,
  { stdin, stdout }: TopTerminal,
): Promise<void> {
  const over = new AbortController();
  let picture = first;
  let trouble: string | null = null;
  const onKey = (key: string | Buffer) => {
    const text = String(key);
    // Arrows and the like begin with an escape.
    if (text === ESCAPE || (!text.startsWith(ESCAPE) && END_KEYS.some((end) => text.includes(end))))
      over.abort();
  };
  const end = () => over.abort();

  function draw(): void {
    const size = { columns: Math.max(20, stdout.columns ?? 80), rows: Math.max(3, (stdout.rows ?? 24) - 2) };
    const foot = trouble === null ? `q ends, every ${intervalMs / 1000} s` : printable(`! ${trouble}`);
    const lines = [...topLines(picture, size), '', foot.slice(0, size.columns)];
    stdout.write(`${HOME}${lines.map((line) => line + ERASE_LINE).join('\r\n')}${ERASE_BELOW}`);
  }

  stdin.setRawMode?.(true);
  stdin.on('data', onKey);
  stdin.resume();
  stdout.on('resize', draw);
  for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT'] as const) process.once(signal, end);
  // Whatever ends the process, the terminal is given back.
  const leave = () => {
    stdin.setRawMode?.(false);
    stdout.write(LEAVE);
  };
  process.once('exit', leave);
  stdout.write(ENTER);
  try {
    draw();
    while (!over.signal.aborted) {
      await sleep(intervalMs, undefined, { signal: over.signal }).catch(() => undefined);
      if (over.signal.aborted) break;
      try {
        picture = await look(client);
        trouble = null;
      } catch (error) {
        trouble = messageOf(error);
      }
      draw();
    }
  } finally {
    process.off('exit', leave);
    leave();
    stdin.off('data', onKey);
    stdin.pause();
    stdout.off('resize', draw);
    for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT'] as const) process.off(signal, end);
  }
}
