import { describe, expect, it } from 'vitest';
import { writePacket } from '../../../src/decode/packet/packet-row.ts';
import { writePlainTcp } from '../../../src/decode/packet/plain-tcp.ts';
import { readPacket } from '../../../src/decode/packet/read-packet.ts';
import { createWalk, LAYER } from '../../../src/decode/packet/walk.ts';
import { viewOf } from '../../../src/decode/set-decoder.ts';
import { writableColumns } from '../../../src/decode/writable-columns.ts';
import { createFlowBatch } from '../../../src/flow/batch.ts';
import { randomBelow } from '../../support/random.ts';

/** Destination and source MAC, EtherType, then IPv4 and TCP with SYN and ACK. */
const FRAME = Buffer.from(
  '020202020202040404040404' +
    '0800' +
    '45000578000140004006000' +
    '00a010203c6336419' +
    '9c400019000000010000000250120fff00000000',
  'hex',
);

describe('a plain TCP packet', () => {
  it('gives the row that the walk gives, whatever is changed or cut in the frame', () => {
    const random = randomBelow(7);
    const plain = createFlowBatch(1);
    const walked = createFlowBatch(1);
    const walk = createWalk();
    let direct = 0;
    for (let i = 0; i < 20_000; i++) {
      const bytes = Buffer.from(FRAME);
      for (let changes = random(3); changes > 0; changes--) bytes[random(bytes.length)] = random(256);
      const end = random(4) === 0 ? random(bytes.length + 1) : bytes.length;
      for (const batch of [plain, walked]) for (const column of Object.values(batch.columns)) column.fill(0);
      const present = writePlainTcp(viewOf(bytes), 0, end, writableColumns(plain), 0);
      if (present === 0) continue;
      direct++;
      readPacket(bytes, LAYER.ETHERNET, 0, end, 1414, walk);
      expect(walk).toMatchObject({ count: 1, reason: null });
      expect(writePacket(viewOf(bytes), walk.headers[0], writableColumns(walked), 0)).toBe(present);
      expect(plain.columns).toEqual(walked.columns);
    }
    expect(direct).toBeGreaterThan(5000);
  });
});
