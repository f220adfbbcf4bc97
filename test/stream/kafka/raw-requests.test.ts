import { describe, expect, it } from 'vitest';
import {
  epochEndRequest,
  epochEndResponse,
  metadataRequest,
  metadataResponse,
} from '../../../src/stream/kafka/raw-requests.ts';

const hex = (text: string) => Buffer.from(text.replace(/[\s|]/g, ''), 'hex');
const ID = '00112233445566778899aabbccddeeff';

/** Metadata version 10 as the protocol guide has it: one broker, one topic of one partition, and one that is not there. */
const METADATA = hex(
  `00 | 00000000 | 02 00000001 05 68 6f 73 74 00002384 00 00 | 08 63 6c 75 73 74 65 72 | 00000001 |
   03 0000 05 6d 61 69 6c ${ID} 00 02 0000 00000000 00000001 00000007 02 00000001 02 00000001 01 00 80000000 00
      0003 05 6e 6f 6e 65 ${'0'.repeat(32)} 00 01 80000000 00 | 80000000 | 00`,
);

describe('requests that the library does not know', () => {
  it('ask for topics by name, and read their ids and leader epochs', () => {
    expect(
      metadataRequest(['mail']).equals(hex(`00 02 ${'0'.repeat(32)} 05 6d 61 69 6c 00 00 00 00 00`)),
    ).toBe(true);
    expect(metadataResponse(METADATA)).toEqual({
      clusterId: 'cluster',
      topics: new Map([
        [
          'mail',
          { id: ID, partitions: new Map([[0, { leader: 1, leaderEpoch: 7, replicas: 1, inSync: 1 }]]) },
        ],
      ]),
    });
  });

  it('never read beyond an answer, wherever it is cut', () => {
    // What rights the client has on the cluster is not looked at.
    for (let length = 0; length < METADATA.length - 5; length++)
      expect(() => metadataResponse(METADATA.subarray(0, length))).toThrow(RangeError);
  });

  it('ask where an epoch ends', () => {
    const asked = hex('ffffffff 00000001 0004 6d61696c 00000001 00000003 ffffffff 00000007');
    expect(epochEndRequest('mail', 3, 7).equals(asked)).toBe(true);
    const answer = (error: string, end: string) =>
      epochEndResponse(hex(`00000000 00000001 0004 6d61696c 00000001 ${error} 00000003 00000007 ${end}`));
    expect(answer('0000', '00000000000000ff')).toBe(255);
    expect(answer('0000', 'ffffffffffffffff')).toBeNull();
    expect(answer('0006', '00000000000000ff')).toBeNull();
  });
});
