import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createMailFilter } from '../../src/collect/mail-filter.ts';
import { createDecoder } from '../../src/decode/decoder.ts';
import { UNREAD_REASONS } from '../../src/decode/packet/walk.ts';
import type { Decoder } from '../../src/decode/types.ts';
import { clearFlowBatch, createFlowBatch } from '../../src/flow/batch.ts';
import { encodeNative } from '../../src/flow/native.ts';
import { type Field, ipfix, set, template, v5, v7, v9 } from '../support/datagrams.ts';
import { EXPORTER, LIMITS, NOW } from '../support/decoding.ts';

const PORTS = [25, 465];

interface Outcome {
  readonly decoder: Decoder;
  /** Mail rows as one block. */
  readonly mail: Buffer;
  readonly rows: number;
}

/** Decodes, and takes the mail out of all rows; the small batch flushes in the middle of sets. */
function decode(datagrams: readonly Buffer[], portsOnly: readonly number[] | undefined): Outcome {
  const selectMail = createMailFilter(PORTS);
  const mail = createFlowBatch(4096);
  let rows = 0;
  const sink = {
    batch: createFlowBatch(7),
    flush() {
      rows += sink.batch.length;
      selectMail(sink.batch, mail);
      clearFlowBatch(sink.batch);
    },
  };
  const decoder = createDecoder(
    { templateScope: 'address', limits: LIMITS, ...(portsOnly !== undefined && { portsOnly }) },
    sink,
  );
  for (const datagram of datagrams) decoder.decode(datagram, EXPORTER, 4000, NOW);
  sink.flush();
  return { decoder, mail: encodeNative(mail), rows };
}

function expectSame(datagrams: readonly Buffer[]): void {
  const all = decode(datagrams, undefined);
  const some = decode(datagrams, PORTS);
  expect(some.mail.equals(all.mail)).toBe(true);
  const { passedOver, unread } = some.decoder.counters;
  const allUnread = all.decoder.counters.unread;
  expect({ ...some.decoder.counters, passedOver: 0, unread: allUnread }).toEqual(all.decoder.counters);
  // Of a record on other ports nothing is missed, whatever its addresses.
  for (const reason of UNREAD_REASONS) expect(unread[reason]).toBeLessThanOrEqual(allUnread[reason]);
  expect(some.rows + passedOver).toBe(all.rows);
  const states = (decoder: Decoder) =>
    [...decoder.exporters()].map((state) => ({
      flows: state.flows,
      lost: state.sequenceLost,
      resets: state.sequenceResets,
      rates: [...state.samplingRates],
    }));
  expect(states(some.decoder)).toEqual(states(all.decoder));
}

/** Ports of several kinds, protocol, samplers, reduced sizes, variable length, and halves of biflows. */
const FIELDS: readonly Field[] = [
  [7, 2],
  [11, 2],
  [182, 2],
  [183, 2],
  [181, 2],
  [7, 1],
  [11, 4],
  [4, 1],
  [4, 2],
  [88, 2],
  [8, 4],
  [12, 4],
  [2, 4],
  [34, 4],
  [48, 1],
  [302, 8],
  [305, 4],
  [306, 4],
  [160, 8],
  [22, 4],
  [82, 65535],
];
const REVERSE: Field = [2, 4, 29305];

/** Bytes in which ports of mail and TCP are frequent. */
const bytes = fc.uint8Array({ minLength: 0, maxLength: 600 }).map((values) => {
  const usual = [0, 25, 6, 0, 1, 0, 25, 6];
  return Buffer.from(values.map((value) => (value < 200 ? usual[value % 8] : value)));
});

describe('when only some ports are wanted', () => {
  it('the mail rows, counters and accounts of exporters are those of a decoder that keeps everything', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(...FIELDS), { minLength: 1, maxLength: 12 }),
        fc.boolean(),
        fc.array(bytes, { minLength: 1, maxLength: 4 }),
        (fields, biflow, data) => {
          expectSame([
            ipfix([set(2, template(300, biflow ? [...fields, REVERSE] : fields))]),
            ...data.map((body) => ipfix([set(300, body)])),
          ]);
          expectSame([v9([set(0, template(300, fields))]), ...data.map((body) => v9([set(300, body)]))]);
        },
      ),
      { numRuns: 500 },
    );
  });

  it('records of other ports, other protocols and no ports leave no row and are counted as flows', () => {
    const flow = { src: '10.0.0.1', dst: '192.0.2.1', packets: 3, bytes: 180 };
    const flows = [
      { ...flow, srcPort: 40_000, dstPort: 25 },
      { ...flow, srcPort: 40_000, dstPort: 443 },
      { ...flow, srcPort: 25, dstPort: 40_001 },
      { ...flow, srcPort: 40_000, dstPort: 25, protocol: 17 },
      { ...flow, srcPort: 0, dstPort: 0 },
    ];
    for (const datagram of [v5(flows), v7(flows)]) {
      const { decoder, rows } = decode([datagram], PORTS);
      expect(rows).toBe(2);
      expect(decoder.counters.passedOver).toBe(3);
      expect([...decoder.exporters()][0].flows).toBe(5);
      expectSame([datagram]);
    }
  });
});
