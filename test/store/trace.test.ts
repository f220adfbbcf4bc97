import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeNative } from '../../src/flow/native.ts';
import { parsePrefix } from '../../src/flow/prefix.ts';
import { complaintOf } from '../../src/trace/complaint.ts';
import { trace } from '../../src/trace/trace.ts';
import { batchOf, type Flow, MINUTE, T0 } from '../support/flows.ts';
import { chdbInstalled, openTestStore, type TestStore, withoutChdb } from './fixture.ts';

const PUBLIC = '203.0.113.5';
const SERVER = '198.51.100.25';
const prefix = (text: string) => {
  const parsed = parsePrefix(text);
  if (!parsed.ok) throw new Error(parsed.reason);
  return parsed.prefix;
};

const session = (from: string, given: Partial<Flow> = {}): Flow => ({
  from,
  to: SERVER,
  fromPort: 40_000,
  at: 3 * MINUTE,
  startAt: MINUTE,
  endAt: 2 * MINUTE,
  packets: 20,
  bytes: 9000,
  ...given,
});

describe.skipIf(!chdbInstalled)(`who was it: ${withoutChdb}`, () => {
  let store: TestStore;
  let token = 0;

  beforeAll(async () => {
    store = await openTestStore();
  });
  afterAll(() => store?.close());

  async function asked(
    flows: readonly Flow[],
    texts: {
      source?: string;
      sourcePort?: number;
      destination?: string;
      destinationPort?: number;
      at?: number;
    },
    { onlyMail = false, nat = [] as string[] } = {},
  ) {
    await store.engine.command('TRUNCATE TABLE rogue_smtp.flows');
    if (flows.length > 0)
      await store.engine.insertNative(
        'flows',
        { bytes: [encodeNative(batchOf(flows))] },
        { token: `t${token++}` },
      );
    const { at = 90_000, ...rest } = texts;
    return trace(complaintOf({ at: new Date(T0 + at).toISOString(), within: MINUTE, ...rest }), {
      query: (sql, format) => store.engine.queryBytes(sql, format, { readonly: true, timeoutMs: 10_000 }),
      offenders: [],
      inside: { internal: [prefix('10.0.0.0/8')], nat: nat.map(prefix) },
      onlyMail,
    });
  }

  const hosts = ({ candidates }: Awaited<ReturnType<typeof asked>>) =>
    candidates.map(({ host, sure }) => `${host} ${sure}`);

  it('is certain by a record that names the public address and port', async () => {
    const answer = await asked(
      [
        session('10.0.0.7', { natFrom: [PUBLIC, 51_000] }),
        session('10.0.0.8', { natFrom: [PUBLIC, 51_001] }),
        session('10.0.0.9', { natFrom: ['203.0.113.6', 51_000] }),
      ],
      { source: PUBLIC, sourcePort: 51_000, destination: SERVER },
    );
    expect(hosts(answer)).toEqual(['10.0.0.7 certain', '10.0.0.8 possible']);
    expect(answer.candidates[0].reasons).toContain(
      '1 record says that it was translated to 203.0.113.5 port 51000.',
    );
    expect(answer.missing).toEqual([]);
  });

  it('finds the inside address where the exporter stands outside of the NAT', async () => {
    const answer = await asked([session(PUBLIC, { fromPort: 51_000, natFrom: ['10.0.0.7', 40_000] })], {
      source: PUBLIC,
      sourcePort: 51_000,
    });
    expect(hosts(answer)).toEqual(['10.0.0.7 certain']);
  });

  it('finds a host by the answers of the server alone', async () => {
    const answer = await asked(
      [
        session(SERVER, {
          to: PUBLIC,
          fromPort: 25,
          toPort: 51_000,
          natTo: ['10.0.0.7', 40_000],
        }),
      ],
      { source: PUBLIC, sourcePort: 51_000, destination: SERVER, destinationPort: 25 },
    );
    expect(hosts(answer)).toEqual(['10.0.0.7 certain']);
  });

  it('says by time and server who is likely, and what would make it surer', async () => {
    const answer = await asked([session('10.0.0.7')], { source: PUBLIC, destination: SERVER });
    expect(hosts(answer)).toEqual(['10.0.0.7 likely']);
    expect(answer.missing.join(' ')).toMatch(/No record of that time names a translated address/);
  });

  it('names nobody more than another where two match alike', async () => {
    const answer = await asked([session('10.0.0.7'), session('10.0.0.8')], { source: PUBLIC });
    expect(hosts(answer)).toEqual(['10.0.0.7 possible', '10.0.0.8 possible']);
    expect(answer.missing.join(' ')).toMatch(/tells no source port/);
    expect(answer.missing.join(' ')).toMatch(/names no server/);
  });

  it('goes by the time of the flow, not by when it came', async () => {
    const late = session('10.0.0.7', { at: 40 * MINUTE });
    expect(hosts(await asked([late], { source: PUBLIC }))).toEqual(['10.0.0.7 likely']);
    expect(hosts(await asked([late], { source: PUBLIC, at: 40 * MINUTE }))).toEqual([]);
  });

  it('never names an address that many hosts share', async () => {
    const answer = await asked(
      [session('10.9.9.9'), session('10.0.0.7')],
      { source: PUBLIC },
      { nat: ['10.9.9.9'] },
    );
    expect(hosts(answer)).toEqual(['10.0.0.7 likely']);
  });

  it('finds what went to a sinkhole on another port', async () => {
    const answer = await asked([session('10.0.0.7', { toPort: 443 }), session('10.0.0.8')], {
      source: PUBLIC,
      destination: SERVER,
      destinationPort: 443,
    });
    expect(hosts(answer)).toEqual(['10.0.0.7 likely']);
  });

  it('says why it has nothing', async () => {
    expect((await asked([], { source: PUBLIC })).missing).toEqual(['The store holds no flows.']);
    expect((await asked([session('10.0.0.7')], { source: PUBLIC, at: -60 * MINUTE })).missing[0]).toMatch(
      /keeps flows since .* after that time/,
    );
    expect(
      (await asked([session('10.0.0.7')], { source: PUBLIC, destinationPort: 443 }, { onlyMail: true }))
        .missing,
    ).toContain('Only mail is kept (collector.archive: mail), so flows to port 443 are not in the store.');
  });
});
