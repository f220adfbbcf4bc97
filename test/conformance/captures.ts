/**
 * The captures of the conformance table: those that ship with the project, and those of VECTORS_DIR and of CASES_DIR where
 * present.
 */

import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type CapturedDatagram, readPcap } from '../support/pcap.ts';
import { haveVectors, VECTORS_DIR } from '../support/vectors.ts';
import { type Answer, readFieldCases } from './cases.ts';

const SHIPPED = fileURLToPath(new URL('../fixtures/captures', import.meta.url));

/** What the README beside the captures says that is in one. */
interface Stated {
  readonly flows: number;
  readonly options: number;
  readonly templates: number;
}

export interface Capture {
  /** Directory and file without `.pcap`. */
  readonly name: string;
  readonly path: string;
  readonly datagrams: readonly CapturedDatagram[];
  /** The version of most of its datagrams, as in their headers; sFlow is 0. */
  readonly version: number;
  readonly stated: Stated | null;
  /** Of a case from the field, what is right. */
  readonly answer: Answer | null;
}

export function readCaptures(): readonly Capture[] {
  const shipped = pcaps(SHIPPED)
    .filter((path) => path !== 'traffic.pcap')
    .map((path) => capture(`captures/${path}`, `${SHIPPED}/${path}`, null));
  const cases = readFieldCases().map(({ name, path, answer }) =>
    capture(`cases/${name}`, path, null, answer),
  );
  if (!haveVectors) return [...shipped, ...cases];
  const stated = readStated();
  const vectors = pcaps(VECTORS_DIR).map((path) =>
    capture(path, `${VECTORS_DIR}/${path}`, stated.get(path.replace(/\.pcap$/, '')) ?? null),
  );
  return [...shipped, ...cases, ...vectors];
}

function pcaps(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.pcap'))
    .sort();
}

function capture(file: string, path: string, stated: Stated | null, answer: Answer | null = null): Capture {
  const datagrams = readPcap(path);
  const versions = datagrams.map(({ payload }) => (payload.length < 4 ? -1 : payload.readUInt16BE(0)));
  const version = versions.at(-1) ?? -1;
  return { name: file.replace(/\.pcap$/, ''), path, datagrams, version, stated, answer };
}

/** `data / opt / tmpl / unres` of flow captures, `fs N, cs N, drop N` of sFlow. */
function readStated(): Map<string, Stated> {
  const found = new Map<string, Stated>();
  for (const line of readFileSync(`${VECTORS_DIR}/README.md`, 'utf8').split('\n')) {
    const flow = /^\| (\S+) \| \S+ \| \d+ \| (\d+) \/ (\d+) \/ (\d+) \/ \d+ \|/.exec(line);
    const sflow = /^\| (\S+) \| sflow5 \| \d+ \| fs (\d+), cs \d+, drop \d+ \|/.exec(line);
    const [, name, flows, options, templates] = flow ?? sflow ?? [];
    if (name === undefined) continue;
    found.set(name, {
      flows: Number(flows),
      options: Number(options ?? 0),
      templates: Number(templates ?? 0),
    });
  }
  return found;
}
