/**
 * Export datagrams by the grammar of each protocol: mostly right, now and then wrong in one place.
 *
 * The grammar remembers the templates that it sent for each exporter, version and domain, so that its data is of known
 * layouts and gets as far into the decoder as that of a router. What is wrong is wrong in structure (a count, a length,
 * an id, a field that cannot be); damage to bytes is mutate.ts's part.
 */

import {
  type Field,
  integer,
  ipfix,
  ipfixOptionsTemplate,
  set,
  template,
  u16,
  u32,
  v1,
  v5,
  v7,
  v9,
  v9OptionsTemplate,
} from '../support/datagrams.ts';
import type { Random } from './random.ts';
import { sampledFrame, sflowDatagram } from './sflow-grammar.ts';

const VARIABLE = 65_535;

/** Elements with the lengths that exporters give them: what our readers look at, and some that they pass over. */
// biome-ignore format: a table
const PLAUSIBLE: readonly Field[] = [
  [8, 4], [12, 4], [27, 16], [28, 16], [7, 2], [11, 2], [4, 1], [6, 1], [6, 2], [2, 4], [1, 4], [2, 8], [1, 8],
  [2, 3], [1, 5], [85, 4], [86, 8], [231, 4], [232, 4], [298, 8], [299, 8], [352, 8], [10, 2], [14, 4], [21, 4],
  [22, 4], [152, 8], [153, 8], [150, 4], [151, 4], [154, 8], [155, 8], [156, 8], [157, 8], [158, 4], [159, 4],
  [160, 8], [34, 4], [48, 1], [50, 4], [302, 4], [305, 4], [306, 4], [61, 1], [89, 1], [136, 1], [234, 4], [235, 4],
  [225, 4], [226, 4], [227, 2], [228, 2], [281, 16], [239, 1], [233, 1], [40_005, 1], [5, 1], [9, 1], [13, 1],
  [56, 6], [80, 6], [58, 2], [70, 3], [82, 32], [95, 4], [210, 2], [315, VARIABLE], [371, VARIABLE], [291, VARIABLE],
  [96, VARIABLE], [292, VARIABLE], [293, VARIABLE], [313, VARIABLE], [317, VARIABLE], [104, 64], [102, 2], [312, 2],
  [408, 2], [409, 2], [23, 4], [24, 4], [880, 1, 6876], [881, 4, 6876], [882, 4, 6876], [886, 2, 6876], [887, 2, 6876],
  [33_002, 2], [1, 8, 29_305], [2, 8, 29_305], [6, 1, 29_305], [14, 1, 6871], [15, 1, 6871], [33, 4, 6871],
  [110, VARIABLE, 9], [1, 4, 637],
];
// biome-ignore format: a table
const SAMPLING: readonly Field[] = [[34, 4], [48, 1], [49, 1], [50, 4], [302, 4], [305, 4], [306, 4], [160, 8], [82, 8]];
const LENGTHS = [0, 1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 255, 1400, 32_768, 65_534, VARIABLE];

interface Layout {
  readonly fields: readonly Field[];
}

export interface Grammar {
  /** A datagram as exporter number `exporter` would send it. */
  datagram(exporter: number): Buffer;
}

export function createGrammar(random: Random): Grammar {
  const layouts = new Map<string, Map<number, Layout>>();

  function layoutsOf(exporter: number, version: number, domain: number): Map<number, Layout> {
    const key = `${exporter} ${version} ${domain}`;
    let known = layouts.get(key);
    if (known === undefined) {
      if (layouts.size > 500) layouts.clear();
      known = new Map();
      layouts.set(key, known);
    }
    return known;
  }

  function field(version: number): Field {
    const chosen: Field = random.oneIn(12)
      ? [random.below(random.oneIn(2) ? 500 : 32_768), random.pick(LENGTHS), random.pick([29_305, 9])]
      : random.pick(PLAUSIBLE);
    const [id, length, pen] = chosen;
    const bent = random.oneIn(20) ? random.pick(LENGTHS) : length;
    // v9 has no enterprise numbers, but any 16 bits as its type.
    return version === 9 || pen === undefined ? [id, bent] : [id, bent, pen];
  }

  const fieldsOf = (version: number, most: number) =>
    Array.from({ length: 1 + random.below(most) }, () => field(version));

  const templateId = () =>
    random.oneIn(30) ? random.below(65_536) : 256 + random.below(random.oneIn(4) ? 2000 : 8);

  function templateSet(version: number, known: Map<number, Layout>): Buffer {
    const records = Array.from({ length: 1 + random.below(random.oneIn(10) ? 40 : 3) }, () => {
      const id = templateId();
      const fields = fieldsOf(version, random.oneIn(20) ? 200 : 25);
      remember(known, id, fields);
      const record = template(id, fields);
      if (random.oneIn(30)) record.writeUInt16BE(random.below(random.oneIn(2) ? 300 : 65_536), 2);
      return record;
    });
    return set(version === 9 ? 0 : 2, ...records, padding());
  }

  function optionsSet(version: number, known: Map<number, Layout>): Buffer {
    const id = templateId();
    const scope: Field[] = [
      random.pick<Field>([
        [1, 4],
        [2, 4],
        [3, 4],
        [4, 4],
        [149, 4],
        [1, 0],
        [random.below(400), 4],
      ]),
    ];
    const fields = random.oneIn(2)
      ? Array.from({ length: 1 + random.below(4) }, () => random.pick(SAMPLING))
      : fieldsOf(version, 8);
    remember(known, id, [...scope, ...fields]);
    const record =
      version === 9 ? v9OptionsTemplate(id, scope, fields) : ipfixOptionsTemplate(id, scope, fields);
    if (random.oneIn(20)) record.writeUInt16BE(random.below(65_536), 2 + 2 * random.below(2));
    return set(version === 9 ? 1 : 3, record, padding());
  }

  function remember(known: Map<number, Layout>, id: number, fields: readonly Field[]): void {
    if (known.size > 300) known.clear();
    known.set(id, { fields });
  }

  function withdrawalSet(version: number, known: Map<number, Layout>): Buffer {
    const ids = [...known.keys()];
    const id = random.oneIn(4) || ids.length === 0 ? random.pick([2, 3, 0, 256]) : random.pick(ids);
    return set(version === 9 ? 0 : random.pick([2, 3]), u16(id, 0));
  }

  const padding = () => (random.oneIn(3) ? Buffer.alloc(random.below(4)) : Buffer.alloc(0));

  /** Frames where a frame belongs, records within records with ids that may be known, else anything. */
  function content(id: number): Buffer {
    if (id === 315 && !random.oneIn(5)) return sampledFrame(random).subarray(0, 250);
    if ((id === 292 || id === 293) && !random.oneIn(5)) {
      const record = random.bytes(random.below(60));
      const head = id === 292 ? u16(templateId()) : u16(templateId(), 4 + record.length);
      return Buffer.concat([Buffer.from([3]), head, record]);
    }
    return random.bytes(random.oneIn(10) ? random.below(400) : random.below(12));
  }

  function value([id, length]: Field): Buffer {
    if (length !== VARIABLE) {
      if (length > 4000) return random.bytes(random.below(40));
      // Small numbers, so that ports, protocols and counters are those of flows, or anything.
      return random.oneIn(3)
        ? random.bytes(length)
        : integer(random.pick([0, 1, 6, 17, 25, 587, 40_000]), length);
    }
    const made = content(id);
    if (made.length >= 255 || random.oneIn(8)) {
      const told = random.oneIn(20) ? 65_535 : made.length;
      return Buffer.concat([Buffer.from([255]), u16(told), made]);
    }
    return Buffer.concat([Buffer.from([made.length]), made]);
  }

  function dataSet(known: Map<number, Layout>): Buffer {
    const ids = [...known.keys()];
    const id = random.oneIn(10) || ids.length === 0 ? templateId() : random.pick(ids);
    const fields = known.get(id)?.fields ?? [
      [1, 4],
      [2, 4],
    ];
    const records: Buffer[] = [];
    let bytes = 0;
    for (let left = 1 + random.below(30); left > 0 && bytes < 1400; left--) {
      const record = Buffer.concat(fields.map(value));
      records.push(record);
      bytes += record.length;
    }
    return set(id, ...records, padding());
  }

  function sets(exporter: number, version: number, domain: number): Buffer[] {
    const known = layoutsOf(exporter, version, domain);
    return Array.from({ length: 1 + random.below(random.oneIn(10) ? 12 : 4) }, () => {
      const made = oneSet(version, known);
      if (random.oneIn(40)) made.writeUInt16BE(random.below(random.oneIn(2) ? 8 : 65_536), 2);
      return made;
    });
  }

  function oneSet(version: number, known: Map<number, Layout>): Buffer {
    const kind = random.below(20);
    if (kind < 5 || known.size === 0) return templateSet(version, known);
    if (kind < 7) return optionsSet(version, known);
    if (kind === 7) return withdrawalSet(version, known);
    if (kind === 8) return set(random.below(256), random.bytes(random.below(40)));
    return dataSet(known);
  }

  function fixed(): Buffer {
    const flows = Array.from({ length: random.below(32) }, () => ({
      srcPort: random.below(65_536),
      dstPort: random.pick([25, 443, random.below(65_536)]),
      flags: random.below(256),
      packets: random.below(1 << 30),
      bytes: random.below(1 << 30),
      first: random.below(1 << 30),
      last: random.below(1 << 30),
    }));
    const sequence = random.below(1 << 30);
    const made = random.pick([
      () => v1(flows),
      () => v5(flows, { sequence, engine: random.below(4), sampling: random.below(65_536) }),
      () => v7(flows, { sequence }),
    ])();
    if (random.oneIn(8)) made.writeUInt16BE(random.below(65_536), 2);
    return random.oneIn(8) ? Buffer.concat([made, random.bytes(random.below(60))]) : made;
  }

  return {
    datagram(exporter) {
      const kind = random.below(20);
      if (kind < 2) return fixed();
      if (kind < 4) return sflowDatagram(random);
      const version = kind < 12 ? 9 : 10;
      const domain = random.oneIn(40) ? random.below(0x7fffffff) : random.below(3);
      const header = {
        domain,
        sequence: random.below(1 << 30),
        uptimeMs: random.below(0x7fffffff),
        seconds: random.oneIn(20) ? random.below(0x7fffffff) * 2 : 1_767_225_590,
      };
      const content = sets(exporter, version, domain);
      if (version === 9) return v9(content, header);
      // A message has 16 bits for its length.
      while (content.length > 1 && content.reduce((sum, { length }) => sum + length, 16) > 65_000)
        content.pop();
      const made = ipfix(content, header);
      if (random.oneIn(30)) made.writeUInt16BE(random.below(random.oneIn(2) ? 64 : 65_536), 2);
      return random.oneIn(30) ? Buffer.concat([made, u32(0)]) : made;
    },
  };
}
