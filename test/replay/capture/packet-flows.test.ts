import { describe, expect, it } from 'vitest';
import type { TunnelMode } from '../../../src/decode/writable-columns.ts';
import { clearFlowBatch, createFlowBatch } from '../../../src/flow/batch.ts';
import { recordOf } from '../../../src/flow/record.ts';
import { createCaptureCounters } from '../../../src/replay/capture/capture.ts';
import { PACKET_FLOW_DEFAULTS } from '../../../src/replay/capture/packet-flow-defaults.ts';
import { createPacketFlows } from '../../../src/replay/capture/packet-flows.ts';
import { ethernet, ipv4, udp4 } from '../../support/capture-builder.ts';
import { ipfix, set, template, v5, v9 } from '../../support/datagrams.ts';
import { inShort } from '../../support/logs.ts';
import {
  between,
  ethernet as frame,
  MAIL4,
  mpls,
  snap,
  snapFrame,
  tunnelled,
  wifi,
} from '../../support/packets.ts';
import { flowSample, rawHeader, sflow } from '../../support/sflow-datagrams.ts';

const CLIENT = '10.1.2.3';
const SERVER = '198.51.100.7';
const T0 = 1_700_000_000_000;
const [FIN, SYN, RST, ACK] = [1, 2, 4, 16];

function tcp(sourcePort: number, destinationPort: number, flags: number, payload = 0): Buffer {
  const header = Buffer.alloc(20 + payload);
  header.writeUInt16BE(sourcePort, 0);
  header.writeUInt16BE(destinationPort, 2);
  header[12] = 0x50;
  header[13] = flags;
  return header;
}

const forth = (flags: number, payload = 0, fields = {}) =>
  ipv4(tcp(40_000, 25, flags, payload), CLIENT, SERVER, { protocol: 6, ...fields });
const back = (flags: number, payload = 0) =>
  ipv4(tcp(25, 40_000, flags, payload), SERVER, CLIENT, { protocol: 6 });

/** Packets at seconds after T0; the records, and when each was put out in seconds. */
function flowsOf(packets: readonly (readonly [seconds: number, packet: Buffer])[], maxFlows = 1000) {
  return flowsOfFrames(
    packets.map(([seconds, packet]) => [seconds, 1, ethernet(packet)]),
    { maxFlows },
  );
}

/** Frames of a link type, as captured. */
function flowsOfFrames(
  frames: readonly (readonly [seconds: number, linkType: number, bytes: Buffer])[],
  { maxFlows = 1000, tunnels = 'inner' as TunnelMode } = {},
) {
  const counters = createCaptureCounters();
  const records: ReturnType<typeof recordOf>[] = [];
  const sink = {
    batch: createFlowBatch(4),
    flush() {
      for (let row = 0; row < sink.batch.length; row++) records.push(recordOf(sink.batch, row));
      clearFlowBatch(sink.batch);
    },
  };
  const flows = createPacketFlows({ ...PACKET_FLOW_DEFAULTS, maxFlows, tunnels, file: 0 }, counters, sink);
  for (const [seconds, linkType, bytes] of frames)
    flows.add({ timeMs: T0 + 1000 * seconds, linkType, bytes, start: 0, end: bytes.length });
  flows.end();
  sink.flush();
  const at = records.map(({ received_at }) => (Date.parse(String(received_at)) - T0) / 1000);
  return { rows: records.map(inShort), at, counters, evicted: flows.evicted, exports: flows.exports };
}

describe('packets of a capture', () => {
  it('become one flow for each direction, with the flags ORed and the lengths of IP', () => {
    const { rows } = flowsOf([
      [0, forth(SYN)],
      [0.1, back(SYN | ACK)],
      [0.2, forth(ACK, 100)],
      [0.3, forth(FIN | ACK)],
      [0.4, back(FIN | ACK)],
      [0.5, forth(ACK)],
    ]);
    expect(rows).toEqual([
      `${SERVER}:25 > ${CLIENT}:40000 FSA 2/80`,
      `${CLIENT}:40000 > ${SERVER}:25 FSA 4/260`,
    ]);
  });

  it('end after the inactive timeout, and go on in another flow after the active one', () => {
    const idle = flowsOf([
      [0, forth(ACK)],
      [14, forth(ACK)],
      [29, forth(ACK)],
    ]);
    expect(idle.rows.map((row) => row.split(' ').at(-1))).toEqual(['2/80', '1/40']);
    const long = flowsOf(Array.from({ length: 13 }, (_, i) => [10 * i, forth(ACK)] as const));
    expect(long.rows.map((row) => row.split(' ').at(-1))).toEqual(['6/240', '6/240', '1/40']);
    expect(long.at).toEqual([60, 120, 120]);
  });

  it('begin anew with a SYN on the same ports after a RST or FIN, and end a second after it', () => {
    const { rows } = flowsOf([
      [0, forth(SYN)],
      [0.1, forth(RST)],
      [0.2, forth(SYN)],
    ]);
    expect(rows).toHaveLength(2);
    const { at } = flowsOf([
      [0, forth(FIN | ACK)],
      [2, back(ACK)],
    ]);
    expect(at).toEqual([2, 2]);
  });

  it('in fragments count once, with all bytes; fragments without their first are counted as such', () => {
    const first = forth(ACK, 4, { id: 9, more: true });
    const later = ipv4(Buffer.alloc(80), CLIENT, SERVER, { protocol: 6, id: 9, offset: 24 });
    const { rows, counters } = flowsOf([
      [0, first],
      [0, later],
      [0, ipv4(Buffer.alloc(8), CLIENT, SERVER, { protocol: 6, id: 10, offset: 24 })],
    ]);
    expect(rows).toEqual([`${CLIENT}:40000 > ${SERVER}:25 A 1/144`]);
    expect(counters.skipped.fragment_incomplete).toBe(1);
  });

  it('that were captured short have the length of their header, and no flags where these are missing', () => {
    const { rows } = flowsOf([[0, forth(ACK, 1000).subarray(0, 30)]]);
    expect(rows).toEqual([`${CLIENT}:40000 > ${SERVER}:25 - 1/1040`]);
  });

  it('of more flows than there is room for push out the oldest, counted', () => {
    const many = Array.from(
      { length: 50 },
      (_, i) => [0, ipv4(tcp(1000 + i, 25, SYN), CLIENT, SERVER, { protocol: 6 })] as const,
    );
    const { rows, evicted } = flowsOf(many, 10);
    expect(rows).toHaveLength(50);
    expect(evicted).toBeGreaterThan(30);
  });
});

const MAIL_FLOW = '10.1.2.3:40000 > 203.0.113.10:25';

describe('packets on any link and in tunnels', () => {
  const mail = Buffer.from(MAIL4);
  const endsOf = ({ rows }: { rows: string[] }) => rows.map((row) => row.split(' ').slice(0, 3).join(' '));
  const radiotap = (inner: Buffer) => Buffer.concat([Buffer.from([0, 0, 9, 0, 0, 0, 0, 0, 0]), inner]);
  const sll2 = (type: number, inner: Buffer) => {
    const head = Buffer.alloc(20);
    head.writeUInt16BE(type, 0);
    return Buffer.concat([head, inner]);
  };

  it.each([
    ['MPLS in Ethernet', 1, frame(0x8847, mpls([9], mail))],
    [
      'PPPoE',
      1,
      frame(0x8864, Buffer.concat([Buffer.from('110000010000', 'hex'), Buffer.from([0, 0x21]), mail])),
    ],
    ['LLC and SNAP', 1, snapFrame(0x0800, mail)],
    ['PPP', 9, Buffer.concat([Buffer.from('ff030021', 'hex'), mail])],
    ['Cisco HDLC', 104, Buffer.concat([Buffer.from('0f000800', 'hex'), mail])],
    ['802.11', 105, wifi(Buffer.concat([snap(0x0800), mail]))],
    ['802.11 behind radiotap', 127, radiotap(wifi(Buffer.concat([snap(0x0800), mail])))],
    ['MPLS in cooked v2', 276, sll2(0x8847, mpls([9], mail))],
    ['MPLS', 219, mpls([9], mail)],
  ] as const)('%s are read', (_, linkType, bytes) => {
    expect(endsOf(flowsOfFrames([[0, linkType, bytes]]))).toEqual([MAIL_FLOW]);
  });

  it.each(Object.entries(tunnelled(MAIL4)))(
    '%s gives the packet inside, the tunnel, or both',
    (_, packet) => {
      const of = (tunnels: TunnelMode) => endsOf(flowsOfFrames([[0, 1, frame(0x0800, packet)]], { tunnels }));
      expect(of('inner')).toEqual([MAIL_FLOW]);
      const [outer] = of('outer');
      expect(outer).not.toBe(MAIL_FLOW);
      expect(of('both')).toEqual([MAIL_FLOW, outer]);
    },
  );

  it('count what they could not read by its reason, the packet in a tunnel that was cut too', () => {
    const gre = between(47, Buffer.concat([Buffer.from('00000800', 'hex'), mail]));
    const { rows, counters } = flowsOfFrames([
      [0, 1, frame(0x0800, gre).subarray(0, 50)],
      [0, 1, frame(0x9999, mail)],
      [0, 147, mail],
    ]);
    expect(rows).toHaveLength(1);
    expect(counters).toMatchObject({
      datagrams: 0,
      skipped: { truncated: 1, unknown_protocol: 1, link_type: 1 },
    });
  });
});

describe('exports in a capture of traffic', () => {
  const sent = (payload: Buffer) => [0, udp4({ payload })] as const;
  it('are noticed', () => {
    const fields = template(256, [[8, 4]]);
    const datagrams = [
      v5([{}]),
      v9([set(0, fields)]),
      ipfix([set(2, fields)]),
      sflow([flowSample([rawHeader(1, MAIL4, 60)])]),
    ];
    expect(flowsOf(datagrams.map(sent)).exports).toBe(4);
    const others = ['0005', '000a0010', '00090001'].map((hex) =>
      Buffer.concat([Buffer.from(hex, 'hex'), Buffer.alloc(60)]),
    );
    expect(flowsOf(others.map(sent)).exports).toBe(0);
  });
});
