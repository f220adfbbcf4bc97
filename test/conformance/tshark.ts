/**
 * TShark's reading of a capture, from its PDML (`-T pdml`), the only output that keeps the fields of a record together.
 */

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Capture } from './captures.ts';
import { hexOf } from './library.ts';
import type { ComparedField, ComparedRecord, Reading } from './record.ts';

const run = promisify(execFile);
const MAX_OUTPUT_BYTES = 256 * 1024 * 1024;

const NAMES: Readonly<Record<ComparedField, readonly string[]>> = {
  src: ['cflow.srcaddr', 'cflow.srcaddrv6'],
  dst: ['cflow.dstaddr', 'cflow.dstaddrv6'],
  src_port: ['cflow.srcport'],
  dst_port: ['cflow.dstport'],
  protocol: ['cflow.protocol'],
  packets: ['cflow.packets'],
  bytes: ['cflow.octets'],
  flags: ['cflow.tcpflags'],
};

/** Flow records, or for sFlow flow samples, which have no records here. */
export async function readWithTshark({ path, datagrams, version }: Capture): Promise<Reading> {
  const ports = [...new Set(datagrams.map(({ destinationPort }) => destinationPort))];
  const dissector = version === 0 ? 'sflow' : 'cflow';
  const as = ports.flatMap((port) => ['-d', `udp.port==${port},${dissector}`]);
  const { stdout } = await run('tshark', ['-n', '-r', path, ...as, '-T', 'pdml'], {
    maxBuffer: MAX_OUTPUT_BYTES,
    encoding: 'utf8',
  });
  return version === 0 ? samplesIn(stdout) : recordsIn(stdout);
}

function samplesIn(pdml: string): Reading {
  const kinds = [...pdml.matchAll(/name="sflow_245\.sampletype"[^>]* show="(\d+)"/g)].map(([, kind]) =>
    Number(kind),
  );
  const flows = kinds.filter((kind) => kind === 1 || kind === 3).length;
  return { flows, options: null, templates: null, records: null };
}

function recordsIn(pdml: string): Reading {
  const optionsTemplates = new Set<string>();
  const records: ComparedRecord[] = [];
  let options = 0;
  let set = '';
  let record: Map<string, string> | null = null;
  let depth = 0;
  let recordDepth = 0;
  for (const [tag, close, attributes, empty] of pdml.matchAll(/<(\/?)field\b((?:[^>"]|"[^"]*")*?)(\/?)>/g)) {
    if (close === '/') {
      depth--;
      if (record !== null && depth === recordDepth) {
        if (optionsTemplates.has(set)) options++;
        else records.push(recordOf(record));
        record = null;
      }
      continue;
    }
    const name = attribute(attributes ?? '', 'name');
    const show = attribute(attributes ?? '', 'show');
    if (name === '') {
      set = /^(?:Flow)?Set \d+ \[id=(\d+)\]/.exec(show)?.[1] ?? set;
      const announced = /\(Options Template[^)]*\): ([\d,]+)/.exec(show)?.[1];
      for (const id of announced?.split(',') ?? []) optionsTemplates.add(id);
      if (/^(Flow \d+|pdu \d+\/\d+)/.test(show) && record === null && !tag.endsWith('/>')) {
        record = new Map();
        recordDepth = depth;
        if (show.startsWith('pdu')) set = '';
      }
    } else if (record !== null && !record.has(name)) record.set(name, show);
    if (empty !== '/') depth++;
  }
  return { flows: records.length, options, templates: null, records };
}

function attribute(attributes: string, name: string): string {
  return new RegExp(`(?:^| )${name}="([^"]*)"`).exec(attributes)?.[1] ?? '';
}

function recordOf(fields: ReadonlyMap<string, string>): ComparedRecord {
  const record: Partial<Record<ComparedField, string | number>> = {};
  for (const [field, names] of Object.entries(NAMES) as [ComparedField, readonly string[]][]) {
    const known = names.filter((candidate) => fields.has(candidate));
    // Templates with both address families leave the one zero that does not apply.
    const name = known.find((candidate) => fields.get(candidate) !== '0.0.0.0') ?? known[0];
    const show = name === undefined ? undefined : fields.get(name);
    if (show === undefined) continue;
    if (field === 'src' || field === 'dst') record[field] = hexOf(show);
    else if (Number.isFinite(Number(show))) record[field] = Number(show);
  }
  return record;
}
