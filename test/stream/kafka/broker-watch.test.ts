import { describe, expect, it, onTestFinished } from 'vitest';
import { type BrokerWatchOptions, createBrokerWatch } from '../../../src/stream/kafka/broker-watch.ts';
import { kafkaError } from '../../../src/stream/kafka/client.ts';
import { createEarlyRemoval } from '../../../src/stream/kafka/early-removal.ts';
import { keptLog } from '../support.ts';

const partition = { leader: 1, leaderEpoch: 0, replicas: 3, inSync: 3 };
const REPORT = {
  created: [],
  checked: ['t'],
  unchecked: [],
  differences: [],
  leastInSync: new Map([['t', 2]]),
};

function watch(options: Partial<BrokerWatchOptions>, partitions: (typeof partition)[] = [partition]) {
  const log = keptLog();
  const made = createBrokerWatch({
    facts: async () => ({
      clusterId: 'c',
      topics: new Map([['t', { id: '', partitions: new Map(partitions.map((facts, i) => [i, facts])) }]]),
    }),
    time: async () => null,
    settings: async () => REPORT,
    now: Date.now,
    log,
    ...options,
  });
  onTestFinished(() => made.stop());
  return { ...made, lines: log.lines };
}

describe('a look at the brokers', () => {
  it('finds nothing where all is well', async () => {
    const { look, troubles } = watch({}, [partition, { ...partition, inSync: 2 }]);
    await look();
    expect(troubles()).toEqual([]);
  });

  it('names partitions without a leader, and those that take no messages', async () => {
    const { look, troubles } = watch({}, [
      partition,
      { ...partition, leader: -1, inSync: 0 },
      { ...partition, inSync: 1 },
      // One copy is all there is to be.
      { ...partition, replicas: 1, inSync: 1 },
    ]);
    await look();
    expect(troubles()).toEqual([
      expect.stringMatching(/^topic t has no leader for partition 1: /),
      'topic t takes no messages in partition 2: 1 replica(s) in sync, and min.insync.replicas is 2',
    ]);
  });

  it('tells of brokers that are away until they are back, and looks at the settings then', async () => {
    let isAway = true;
    let settings = 0;
    const { look, troubles, areAway } = watch({
      facts: async () => {
        if (isAway) throw kafkaError('the topics cannot be looked at', new Error('refused'));
        return { clusterId: 'c', topics: new Map() };
      },
      settings: async () => {
        settings++;
        return REPORT;
      },
    });
    await look();
    expect([areAway(), troubles()]).toEqual([true, ['the topics cannot be looked at: refused']]);
    isAway = false;
    await look();
    expect([areAway(), troubles(), settings]).toEqual([false, [], 1]);
  });

  it('tells a difference once in the log, and as a trouble where it does harm', async () => {
    const differences = [
      { text: 'longer', harmful: false },
      { text: 'shorter', harmful: true },
    ];
    const made = watch({ settings: async () => ({ ...REPORT, differences }) });
    for (let i = 0; i < 30; i++) await made.look();
    expect(made.differences()).toEqual(['longer', 'shorter']);
    expect(made.troubles()).toEqual(['shorter']);
    expect(made.lines).toHaveLength(2);
  });

  it('takes a clock for right that is some minutes off, not one that is hours off', async () => {
    for (const [minutes, told] of [
      [4, 0],
      [-4, 0],
      [60, 1],
      [-60, 1],
    ] as const) {
      const { look, troubles } = watch({ time: async () => Date.now() + minutes * 60_000 });
      await look();
      expect(troubles()).toHaveLength(told);
    }
  });
});

describe('a topic that removes messages too early', () => {
  it('is told for an hour, in any of its partitions', () => {
    let nowMs = 0;
    const { note, trouble } = createEarlyRemoval('t', 86_400_000, () => nowMs);
    note(0, 100, 0);
    nowMs = 300_000;
    note(1, 5, 0);
    note(0, 200, 100);
    expect(trouble()).toBeNull();
    note(0, 300, 200);
    expect(trouble()).toMatch(/^topic t has removed messages 300 s or less after they were written/);
    nowMs += 3_600_001;
    expect(trouble()).toBeNull();
  });

  it('is not one that was made anew, or that removes what is old', () => {
    let nowMs = 0;
    const { note, trouble } = createEarlyRemoval('t', 86_400_000, () => nowMs);
    note(0, 1000, 0);
    nowMs += 1000;
    note(0, 0, 0);
    nowMs += 86_400_000;
    note(0, 5000, 4000);
    expect(trouble()).toBeNull();
  });
});
