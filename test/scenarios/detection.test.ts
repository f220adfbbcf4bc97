/** The cases that "destination port 25 and not the mail server" gets wrong, one test each: flows in, verdict out. */

import { describe, expect, it } from 'vitest';
import { detect, MAIL_SERVER, OUTSIDE, ROGUE, STRICT } from '../support/detecting.ts';
import { type Flow, HOUR, MINUTE, replyTo, SECOND, sequenced } from '../support/flows.ts';

/** A mail from a host to an outside server, both halves, each in a datagram of its own. */
function mail(from: string, changes: Partial<Flow> = {}): Flow[] {
  const flow: Flow = { from, to: OUTSIDE, ...changes };
  return [flow, replyTo(flow)];
}

/** The same of a server that answers `octets` of payload. */
function answered(changes: Partial<Flow>, octets: number): Flow[] {
  const flow: Flow = { from: ROGUE, to: OUTSIDE, ...changes };
  const packets = flow.packets ?? 20;
  return [flow, replyTo(flow, { bytes: 52 * packets + 8 + octets })];
}

describe('a rogue sender', () => {
  it('that sends a mail is conversed, has an open incident, and is blocked on evidence from two datagrams', () => {
    const { of, kinds, alerts } = detect(mail(ROGUE));
    expect(of(ROGUE)).toMatchObject({
      grade: 'conversed',
      state: 'open',
      sessions: 1,
      attempts: 0,
      packets: 20,
      bytes: 6000,
      destinations: { count: 1, exact: true, top: [{ address: OUTSIDE, sessions: 1 }] },
      ports: [25],
      exporters: [{ address: '192.0.2.1', domain: 0, interface: 1 }],
      flags: [],
      missing: [],
      block: { state: 'published' },
    });
    expect(kinds()).toEqual(['opened', 'updated']);
    expect(alerts[0].block.state).toBe('none');
    expect(alerts[0].block.reason).toContain('second datagram');
  });

  it.each([
    ['in nine packets, none of them a lone ACK', 9, 1300],
    ['in seven, with PIPELINING (RFC 2920)', 7, 1230],
    ['in five, with CHUNKING', 5, 1033],
    ['of 300 bytes', 10, 887],
  ])('that sends one short mail %s is found', (_, packets, bytes) => {
    expect(detect(answered({ packets, bytes }, 450)).of(ROGUE)).toMatchObject({
      grade: 'conversed',
      block: { state: 'published' },
    });
  });

  it.each([
    ['a probe that asks for recipients', 9, 580, 400],
    ['keep-alives of an idle connection', 53, 2764, 60],
    ['a STARTTLS check, with a chain of certificates and many lone ACKs', 17, 1343, 5400],
    ['a recipient that is verified over TLS', 13, 1551, 2200],
    ['a check with a post-quantum hello', 14, 2504, 2200],
  ])('has not mailed by %s, however often', (_, packets, bytes, octets) => {
    const flows = Array.from({ length: 300 }, (_, i) =>
      answered({ packets, bytes, fromPort: 1000 + i, at: i * MINUTE }, octets),
    );
    const { of } = detect(flows.flat());
    expect(of(ROGUE)).toMatchObject({ grade: 'connected', sessions: 300, block: { state: 'none' } });
  });

  it('that mails over TLS is proven by the second session that is larger than a check', () => {
    const mails = [0, 1].map((i) =>
      answered({ packets: 16, bytes: 2240, fromPort: i + 1, at: i * SECOND }, 2300),
    );
    expect(detect(mails[0]).of(ROGUE)).toMatchObject({ grade: 'connected', block: { state: 'none' } });
    expect(detect(mails[0]).of(ROGUE)?.reasons.join()).toContain('1 session may have carried a message');
    const { of } = detect(mails.flat());
    expect(of(ROGUE)).toMatchObject({ grade: 'conversed', block: { state: 'published' } });
    expect(of(ROGUE)?.reasons.join()).toContain('larger than a TLS check');
  });

  it('is not taken for one where a check lost its hello now and then', () => {
    const flows = Array.from({ length: 500 }, (_, i) =>
      // Every thirtieth check had to send its hello of 517 octets again.
      answered(
        { packets: 12, bytes: i % 30 === 9 ? 1551 + 569 : 1551, fromPort: 1000 + i, at: i * MINUTE },
        2300,
      ),
    );
    expect(detect(flows.flat()).of(ROGUE)).toMatchObject({ grade: 'connected', block: { state: 'none' } });
  });

  it('that tells addresses to many servers and no more is bulk, and held for approval', () => {
    const told = (count: number, gap: number) =>
      detect(
        Array.from({ length: count }, (_, i) =>
          answered({ to: `198.51.100.${i + 1}`, packets: 9, bytes: 580, at: i * gap }, 400),
        ).flat(),
      ).of(ROGUE);
    expect(told(60, SECOND)).toMatchObject({
      grade: 'connected',
      flags: ['scanning'],
      block: { state: 'none' },
    });
    expect(told(200, 10 * SECOND)).toMatchObject({ grade: 'connected', block: { state: 'none' } });
    const run = told(100, SECOND);
    expect(run).toMatchObject({ grade: 'bulk', block: { state: 'refused' } });
    expect(run?.block.reason).toContain('held back: addresses were told to many servers');
  });

  it('that opens many connections and says nothing is scanning, and blocked only where that is asked for', () => {
    const scan = Array.from(
      { length: 25 },
      (_, i): Flow => ({
        from: ROGUE,
        to: `198.51.100.${i + 1}`,
        flags: i % 2 === 0 ? 'S' : 'SRA',
        packets: i % 2 === 0 ? 1 : 4,
        bytes: i % 2 === 0 ? 60 : 208,
        at: i * SECOND,
      }),
    );
    const { of, alerts } = detect(scan);
    expect(of(ROGUE)).toMatchObject({ grade: 'connected', flags: ['scanning'], block: { state: 'none' } });
    expect(alerts.map(({ kind }) => kind)).toEqual(['opened', 'escalated', 'updated']);
    expect(alerts[2].reasons.join()).toContain('connects to many servers');
    const asked = { ...STRICT, block: { mode: 'publish', scanners: true } } as const;
    expect(detect(scan, { config: asked }).of(ROGUE)?.block).toMatchObject({
      state: 'published',
      reason: 'the host scans, and block.scanners is on',
    });
    const oneDatagram = scan.map((flow, i) => ({ ...flow, sequence: 7, record: i, at: 25 * SECOND }));
    expect(detect(oneDatagram, { config: asked }).of(ROGUE)?.block.state).toBe('none');
  });

  it('over IPv6 is found all the same', () => {
    const { of } = detect(mail('2001:db8:1::66', { to: '2001:db8:ffff::25' }));
    expect(of('2001:db8:1::66')).toMatchObject({ grade: 'conversed', block: { state: 'published' } });
  });

  it('is not blocked on one datagram, however many records it holds', () => {
    const flows = Array.from(
      { length: 30 },
      (_, i): Flow => ({ from: ROGUE, to: `198.51.100.${i + 1}`, sequence: 7, record: i }),
    );
    const { of } = detect(flows);
    expect(of(ROGUE)).toMatchObject({ grade: 'bulk', block: { state: 'none' } });
  });

  it('is opened first and escalated as evidence grows', () => {
    const { alerts } = detect([
      { from: ROGUE, to: OUTSIDE, flags: 'S', packets: 1, bytes: 60 },
      { from: ROGUE, to: OUTSIDE, fromPort: 40001, flags: 'SPA', packets: 5, bytes: 400, at: 1000 },
      { from: ROGUE, to: OUTSIDE, fromPort: 40002, at: 2000 },
    ]);
    expect(alerts.filter(({ kind }) => kind !== 'updated').map(({ kind, grade }) => [kind, grade])).toEqual([
      ['opened', 'attempted'],
      ['escalated', 'connected'],
      ['escalated', 'conversed'],
    ]);
  });

  it('with sessions to many destinations is bulk', () => {
    const flows = Array.from(
      { length: 20 },
      (_, i): Flow => ({ from: ROGUE, to: `198.51.100.${i + 1}`, bytes: 2400, at: i * 10 * SECOND }),
    );
    expect(detect(flows.slice(0, 19)).of(ROGUE)).toMatchObject({ grade: 'conversed' });
    expect(detect(flows).of(ROGUE)).toMatchObject({ grade: 'bulk', destinations: { count: 20 } });
  });

  it('with many sessions is bulk, but not when they are spread over more than the window', () => {
    const flows = (gap: number) =>
      Array.from(
        { length: 100 },
        (_, i): Flow => ({
          from: ROGUE,
          to: OUTSIDE,
          fromPort: 40000 + i,
          at: i * gap,
        }),
      );
    expect(detect(flows(SECOND)).of(ROGUE)).toMatchObject({ grade: 'bulk', sessions: 100 });
    expect(detect(flows(MINUTE)).of(ROGUE)).toMatchObject({ grade: 'conversed', sessions: 100 });
  });

  it('has its destinations counted exactly up to a bound, then at least', () => {
    const flows = Array.from(
      { length: 300 },
      (_, i): Flow => ({ from: ROGUE, to: `198.51.${i >> 8}.${i & 255}`, at: i }),
    );
    const incident = detect(flows).of(ROGUE);
    expect(incident?.destinations).toMatchObject({ count: 256, exact: false });
    expect(incident?.destinations.top).toHaveLength(10);
    expect(incident?.missing.join()).toContain('exact number of destinations');
  });

  it('cannot hide whom it reaches behind a scan that fills the table of destinations', () => {
    const scan = Array.from(
      { length: 300 },
      (_, i): Flow => ({
        from: ROGUE,
        to: `203.0.${i >> 8}.${i & 255}`,
        flags: 'S',
        packets: 1,
        bytes: 60,
        at: i,
      }),
    );
    const reached = Array.from(
      { length: 20 },
      (_, i): Flow => ({ from: ROGUE, to: `198.51.100.${i + 1}`, at: 1000 + i }),
    );
    expect(detect([...scan, ...reached]).of(ROGUE)).toMatchObject({ grade: 'bulk', attempts: 300 });
  });
});

describe('what is no TCP connection to port 25', () => {
  it.each([
    ['an ICMP message whose type and code read as port 25', { protocol: 1 }],
    ['UDP to port 25', { protocol: 17 }],
    ['a later fragment', { fragmentOffset: 1480 }],
    ['port 587, which clients may use', { toPort: 587 }],
    ['port 465', { toPort: 465 }],
  ])('is ignored: %s', (_, changes) => {
    const { incidents, detector } = detect([{ from: ROGUE, to: OUTSIDE, ...changes }], { upTo: MINUTE });
    expect(incidents).toEqual([]);
    expect(detector.counters.ignored.not_mail).toBe(1);
  });

  it('on a submission port raises an alert when that is asked for, and never a block', () => {
    const config = { ...STRICT, detection: { submission: { alert: true, servers: 1 } } };
    const { of } = detect([...mail(ROGUE, { toPort: 587 }), ...mail(ROGUE, { toPort: 587, fromPort: 4 })], {
      config,
    });
    expect(of(ROGUE)).toMatchObject({ grade: 'bulk', ports: [587], block: { state: 'none' } });
  });
});

describe('directions', () => {
  it('inbound mail is no offence, neither its request nor its reply', () => {
    const inbound: Flow = { from: OUTSIDE, to: MAIL_SERVER };
    const other: Flow = { from: OUTSIDE, to: ROGUE };
    const { incidents } = detect([inbound, replyTo(inbound), other, replyTo(other)], { upTo: HOUR });
    expect(incidents).toEqual([]);
  });

  it('internal to internal is not looked at, nor what only passes through', () => {
    const { incidents, detector } = detect(
      [
        { from: ROGUE, to: '10.1.1.1' },
        { from: OUTSIDE, to: '203.0.113.9' },
      ],
      {
        upTo: HOUR,
      },
    );
    expect(incidents).toEqual([]);
    expect(detector.counters.ignored).toMatchObject({ internal: 1, foreign: 1 });
  });

  it('the reply is confirmation: it turns few packets without flags into a connection', () => {
    const flow: Flow = { from: ROGUE, to: OUTSIDE, flags: null, packets: 3, bytes: 170 };
    expect(detect([flow]).of(ROGUE)).toMatchObject({ grade: 'attempted' });
    expect(detect([flow, replyTo(flow, { packets: 3, bytes: 400 })]).of(ROGUE)).toMatchObject({
      grade: 'connected',
      sessions: 1,
      attempts: 0,
    });
  });

  it('the reply may come first: one session, not half seen', () => {
    const flow: Flow = { from: ROGUE, to: OUTSIDE, at: 3000 };
    const { of, alerts } = detect([replyTo(flow, { at: 0 }), flow], { upTo: HOUR });
    expect(of(ROGUE)).toMatchObject({ sessions: 1, flags: [], first_seen: '2026-03-01T10:00:00.000Z' });
    expect(alerts[0].flags).toEqual([]);
  });

  it('only the reply is exported: half seen, in an alert, but never blocked', () => {
    const replies = [40000, 40001, 40002].map((fromPort) => replyTo({ from: ROGUE, to: OUTSIDE, fromPort }));
    const { of, kinds } = detect(replies, { upTo: 2 * MINUTE });
    expect(of(ROGUE)).toMatchObject({
      grade: 'connected',
      sessions: 3,
      flags: ['half_seen'],
      block: { state: 'none' },
    });
    expect(of(ROGUE)?.missing.join()).toContain('what the host sent');
    expect(kinds()).toEqual(['opened']);
  });

  it('both ports 25: the first SYN tells who is the client', () => {
    const syn: Flow = { from: ROGUE, to: OUTSIDE, fromPort: 25, flags: 'S', packets: 1, bytes: 60 };
    const rest: Flow = { ...syn, flags: 'PA', packets: 20, bytes: 6000, at: 1000 };
    expect(detect([syn, rest]).of(ROGUE)).toMatchObject({ grade: 'conversed', sessions: 1 });
    const { incidents, detector } = detect([rest]);
    expect(incidents).toEqual([]);
    expect(detector.counters.ignored.ambiguous).toBe(1);
  });

  it('both ports 25 from outside is inbound', () => {
    const syn: Flow = { from: OUTSIDE, to: ROGUE, fromPort: 25, flags: 'S', packets: 1, bytes: 60 };
    const { incidents } = detect([syn, replyTo(syn, { flags: 'SPA' })], { upTo: HOUR });
    expect(incidents).toEqual([]);
  });

  it('both ports 25 in a biflow: the reverse half is the reply', () => {
    const reverse: Flow = { from: OUTSIDE, to: ROGUE, fromPort: 25, toPort: 25, reverse: true };
    expect(detect([reverse], { upTo: MINUTE }).of(ROGUE)).toMatchObject({ flags: ['half_seen'] });
    const inbound: Flow = { from: ROGUE, to: OUTSIDE, fromPort: 25, toPort: 25, reverse: true };
    expect(detect([inbound], { upTo: MINUTE }).incidents).toEqual([]);
  });

  it('a biflow record is both halves of one session', () => {
    const flow: Flow = { from: ROGUE, to: OUTSIDE, sequence: 5 };
    const { of } = detect([flow, replyTo(flow, { sequence: 5, reverse: true })]);
    expect(of(ROGUE)).toMatchObject({ sessions: 1, packets: 20, flags: [], missing: [] });
  });

  it('a scan from source port 25 that an internal host answers is no sending', () => {
    const probe: Flow = {
      from: OUTSIDE,
      to: ROGUE,
      fromPort: 25,
      toPort: 8080,
      flags: 'S',
      packets: 1,
      bytes: 60,
    };
    const answer: Flow = { from: ROGUE, to: OUTSIDE, fromPort: 8080, toPort: 25, flags: 'SPA' };
    expect(detect([probe, answer], { upTo: HOUR }).incidents).toEqual([]);
    const refusal: Flow = { ...answer, flags: 'RA', packets: 1, bytes: 40 };
    expect(detect([refusal], { upTo: HOUR }).incidents).toEqual([]);
  });
});

describe('attempts', () => {
  it.each([
    ['a lone SYN', 'S', 1, 60],
    ['SYNs sent again and again', 'S', 7, 420],
    ['a SYN and a RST, as a port scan leaves them', 'SR', 2, 100],
  ])('%s is attempted and not blocked', (_, flags, packets, bytes) => {
    const flow: Flow = { from: ROGUE, to: OUTSIDE, flags, packets, bytes };
    const refused = replyTo(flow, { flags: 'RA', packets: 1, bytes: 40 });
    const answered = replyTo(flow, { flags: 'SA', packets: 1, bytes: 60 });
    for (const flows of [[flow], [flow, refused], [flow, answered], [flow, { ...flow, fromPort: 40001 }]]) {
      expect(detect(flows).of(ROGUE)).toMatchObject({
        grade: 'attempted',
        sessions: 0,
        block: { state: 'none' },
      });
    }
  });

  it('a scan of many hosts stays attempted', () => {
    const flows = Array.from(
      { length: 500 },
      (_, i): Flow => ({
        from: ROGUE,
        to: `198.51.${i >> 8}.${i & 255}`,
        flags: 'S',
        packets: 1,
        bytes: 44,
        at: i,
      }),
    );
    expect(detect(flows).of(ROGUE)).toMatchObject({ grade: 'attempted', attempts: 500, sessions: 0 });
  });

  it('four packets that are no SYNs are a connection, three are not', () => {
    const flow: Flow = { from: ROGUE, to: OUTSIDE, flags: 'SA', packets: 4, bytes: 220 };
    expect(detect([flow]).of(ROGUE)).toMatchObject({ grade: 'connected' });
    expect(detect([{ ...flow, packets: 3 }]).of(ROGUE)).toMatchObject({ grade: 'attempted' });
  });

  it.each([
    ['null', null],
    ['0', ''],
  ])('flags %s: packets, bytes and the reply decide, and it is said', (_, flags) => {
    const flow: Flow = { from: ROGUE, to: OUTSIDE, flags };
    expect(detect([flow]).of(ROGUE)).toMatchObject({ grade: 'conversed', flags: ['flags_unknown'] });
    expect(detect([flow]).of(ROGUE)?.missing.join()).toContain('TCP flags');
    expect(detect([{ ...flow, packets: 6, bytes: 360 }]).of(ROGUE)).toMatchObject({ grade: 'attempted' });
  });

  it('one sampled packet that is no SYN proves a connection, and is not multiplied', () => {
    const flow: Flow = { from: ROGUE, to: OUTSIDE, flags: 'A', packets: 1, bytes: 52, sampling: 1000 };
    const { of } = detect([flow]);
    expect(of(ROGUE)).toMatchObject({
      grade: 'connected',
      packets: 1,
      bytes: 52,
      sampling: [1000],
      flags: ['sampled'],
    });
    expect(of(ROGUE)?.missing.join()).toContain('samples');
    expect(detect([{ ...flow, sampling: 1 }]).of(ROGUE)).toMatchObject({ grade: 'attempted' });
    expect(detect([{ ...flow, flags: 'S' }]).of(ROGUE)).toMatchObject({ grade: 'attempted' });
  });

  it('an unknown sampling rate stays unknown and drops nothing', () => {
    const { of } = detect([{ from: ROGUE, to: OUTSIDE, sampling: 0 }]);
    expect(of(ROGUE)).toMatchObject({ grade: 'conversed', sampling: [0], flags: [] });
    expect(of(ROGUE)?.missing.join()).toContain('sampling rate');
  });
});

describe('backscatter', () => {
  it.each([
    ['SYN-ACK', 'SA', 5, 300],
    ['RST', 'RA', 1, 40],
  ])('%s from outside to a host that never sent is nobody here', (_, flags, packets, bytes) => {
    const stray: Flow = { from: OUTSIDE, to: ROGUE, fromPort: 25, toPort: 31337, flags, packets, bytes };
    const answer: Flow = {
      from: ROGUE,
      to: OUTSIDE,
      fromPort: 31337,
      toPort: 25,
      flags: 'R',
      packets: 1,
      bytes: 40,
    };
    const { incidents, detector } = detect([stray, answer, { ...stray, at: SECOND }], { upTo: HOUR });
    expect(incidents).toEqual([]);
    expect(detector.counters.backscatter).toBe(1);
  });

  it('is tagged on the incident of a host that has one', () => {
    const stray: Flow = {
      from: '203.0.113.5',
      to: ROGUE,
      fromPort: 25,
      toPort: 31337,
      flags: 'SA',
      packets: 2,
      bytes: 120,
    };
    const { of } = detect([...mail(ROGUE), stray, { ...stray, at: 30 * SECOND }]);
    expect(of(ROGUE)).toMatchObject({ flags: ['backscatter'], sessions: 1, attempts: 0 });

    // Of a sampled session the packets of the host may just not have been picked.
    const sampled = detect([
      ...mail(ROGUE),
      { ...stray, sampling: 4 },
      { ...stray, sampling: 4, at: 30 * SECOND },
    ]);
    expect(sampled.of(ROGUE)?.flags).not.toContain('backscatter');
  });
});

describe('sessions', () => {
  it('an active timeout splits a session into records that add up to one', () => {
    const parts = Array.from(
      { length: 5 },
      (_, i): Flow => ({
        from: ROGUE,
        to: OUTSIDE,
        flags: i === 0 ? 'SPA' : 'PA',
        packets: 4,
        bytes: 1000,
        at: i * MINUTE,
      }),
    );
    expect(detect(parts.slice(0, 2)).of(ROGUE)).toMatchObject({ grade: 'connected' });
    expect(detect(parts).of(ROGUE)).toMatchObject({
      grade: 'conversed',
      sessions: 1,
      packets: 20,
      bytes: 5000,
    });
  });

  it('also when the exporter cuts only every 30 minutes', () => {
    const parts = [0, 1, 2].map(
      (i): Flow => ({
        from: ROGUE,
        to: OUTSIDE,
        startAt: i * 30 * MINUTE,
        endAt: (i + 1) * 30 * MINUTE - 1,
        at: (i + 1) * 30 * MINUTE,
      }),
    );
    expect(detect(parts).of(ROGUE)).toMatchObject({ sessions: 1, packets: 60 });
  });

  it('the same ports after a gap are another session', () => {
    const flow: Flow = { from: ROGUE, to: OUTSIDE };
    expect(detect([flow, { ...flow, at: 5 * MINUTE }]).of(ROGUE)).toMatchObject({ sessions: 1 });
    expect(detect([flow, { ...flow, at: 5 * MINUTE + 1 }]).of(ROGUE)).toMatchObject({ sessions: 2 });
  });

  it('several routers see one session: the larger view counts, and all are named', () => {
    const flow: Flow = { from: ROGUE, to: OUTSIDE };
    const { of } = detect([
      flow,
      { ...flow, exporter: '192.0.2.2', packets: 22, bytes: 5900, inIf: 7, at: SECOND },
    ]);
    expect(of(ROGUE)).toMatchObject({
      sessions: 1,
      packets: 22,
      bytes: 6000,
      exporters: [
        { address: '192.0.2.1', domain: 0, interface: 1 },
        { address: '192.0.2.2', domain: 0, interface: 7 },
      ],
    });
  });

  it('ingress and egress export of one router are two views of one session', () => {
    const flow: Flow = { from: ROGUE, to: OUTSIDE, direction: 0 };
    expect(detect([flow, { ...flow, direction: 1, at: 1 }]).of(ROGUE)).toMatchObject({
      sessions: 1,
      packets: 20,
    });
  });

  it('ingress and egress export of a router that does not tell which is which (v5) are no sum', () => {
    // A probe of 7 packets must not become the dialogue of 14; clocks in whole seconds set the two apart.
    const probe: Flow = {
      from: ROGUE,
      to: OUTSIDE,
      version: 5,
      packets: 7,
      bytes: 560,
      startAt: 0,
      endAt: 900,
    };
    const { of } = detect([
      { ...probe, sequence: 30, record: 24 },
      { ...replyTo(probe), sequence: 30, record: 72 },
      { ...probe, sequence: 31, record: 120, endAt: 1880 },
      { ...replyTo(probe), sequence: 30, record: 168 },
    ]);
    expect(of(ROGUE)).toMatchObject({ sessions: 1, packets: 7, bytes: 560, grade: 'connected' });
  });

  it('nor are the answers of a server that such a router tells twice', () => {
    // A recipient that is verified with a post-quantum hello (go-smtp in the mail lab): twice its answers are those of a mail.
    const flows = [0, 1].flatMap((n) => {
      const at = n * MINUTE;
      const when = { startAt: at, endAt: at + 1357, at: at + 2000, version: 5 };
      const check: Flow = { from: ROGUE, to: OUTSIDE, fromPort: 40_000 + n, ...when };
      const sent: Flow = { ...check, packets: 18, bytes: 2690, flags: 'SAPF' };
      const answer: Flow = { ...replyTo(check), ...when, packets: 17, bytes: 6552, flags: 'SAPF' };
      return [sent, answer, { ...answer, sequence: 2 * n + 1 }, { ...sent, sequence: 2 * n + 1 }];
    });
    const { of } = detect(flows);
    expect(of(ROGUE)).toMatchObject({ sessions: 2, grade: 'connected' });
  });

  it('nor are they when the records of another router come in between', () => {
    const probe: Flow = { from: ROGUE, to: OUTSIDE, packets: 7, bytes: 560, startAt: 0, endAt: 900 };
    const inAndOut: Flow = { ...probe, version: 5, exporter: '192.0.2.2' };
    for (const records of [
      [probe, inAndOut, inAndOut],
      [inAndOut, probe, inAndOut],
      [inAndOut, inAndOut, probe],
    ]) {
      expect(detect(records).of(ROGUE)).toMatchObject({ sessions: 1, packets: 7, grade: 'connected' });
    }
  });

  it('parts of a long session that look alike are a sum all the same', () => {
    const part = (i: number): Flow => ({
      from: ROGUE,
      to: OUTSIDE,
      packets: 6,
      bytes: 2000,
      startAt: i * MINUTE,
      endAt: (i + 1) * MINUTE - 1000,
      at: (i + 1) * MINUTE,
    });
    expect(detect([part(0), part(1), part(2)]).of(ROGUE)).toMatchObject({ packets: 18, grade: 'conversed' });
  });

  it('a record that is delivered again changes nothing', () => {
    const flows = sequenced(mail(ROGUE));
    const once = detect(flows);
    const twice = detect([...flows, ...flows]);
    expect(twice.of(ROGUE)).toMatchObject({ sessions: 1, packets: 20 });
    expect(twice.alerts).toEqual(once.alerts);
    expect(twice.detector.counters.ignored.duplicate).toBe(2);
  });

  it('an exporter that never counts its sequence does not blind the detector', () => {
    const flows = [0, 1, 2].map(
      (i): Flow => ({ from: ROGUE, to: OUTSIDE, fromPort: 40000 + i, sequence: 0 }),
    );
    expect(detect(flows).of(ROGUE)).toMatchObject({ sessions: 3 });
  });
});

describe('who may send', () => {
  it('the authorised mail server never appears, whatever it sends', () => {
    const flows = Array.from({ length: 200 }, (_, i) =>
      mail(MAIL_SERVER, { to: `198.51.100.${i}`, fromPort: 1000 + i, at: i }),
    ).flat();
    expect(detect(flows, { upTo: HOUR }).incidents).toEqual([]);
  });

  const smarthost = {
    ...STRICT,
    senders: [
      { name: 'mail', hosts: [MAIL_SERVER] },
      { name: 'printer', hosts: ['10.0.0.9'], to: ['198.51.100.0/28'] },
    ],
  };

  it('a host that may use only the smarthost is blocked for what it does elsewhere', () => {
    expect(detect(mail('10.0.0.9'), { config: smarthost }).incidents).toEqual([]);
    const { of } = detect(mail('10.0.0.9', { to: '203.0.113.1' }), { config: smarthost });
    expect(of('10.0.0.9')).toMatchObject({
      grade: 'conversed',
      block: { state: 'published' },
    });
    expect(of('10.0.0.9')?.reasons[0]).toContain('"printer"');
  });

  it('a permission ends at its time', () => {
    const config = {
      ...STRICT,
      senders: [
        { name: 'mail', hosts: [MAIL_SERVER] },
        { name: 'project', hosts: ['10.0.0.8'], until: '2026-03-01T11:00:00Z' },
      ],
    };
    expect(detect(mail('10.0.0.8', { at: HOUR - 1 }), { config }).incidents).toEqual([]);
    const { of } = detect(mail('10.0.0.8', { at: HOUR }), { config });
    expect(of('10.0.0.8')).toMatchObject({ grade: 'conversed', block: { state: 'published' } });
    expect(of('10.0.0.8')?.reasons[0]).toContain('until 2026-03-01T11:00:00Z');
  });

  it('without any sender there are alerts, and no block', () => {
    const { of } = detect([...mail(ROGUE), ...mail(ROGUE, { fromPort: 1, at: 1 })], {
      config: { ...STRICT, senders: [] },
    });
    expect(of(ROGUE)).toMatchObject({
      grade: 'conversed',
      block: { state: 'refused', reason: expect.stringContaining('no authorised sender') },
    });
  });

  it('overlapping addresses in two sites are two hosts', () => {
    const config = {
      ...STRICT,
      networks: {
        internal: ['10.0.0.0/8'],
        sites: [
          { name: 'north', vrf: 1 },
          { name: 'south', exporters: ['192.0.2.128/25'] },
        ],
      },
    };
    const { incidents } = detect(
      [
        { from: ROGUE, to: OUTSIDE, vrf: 1 },
        { from: ROGUE, to: OUTSIDE, exporter: '192.0.2.200' },
        { from: ROGUE, to: OUTSIDE },
      ],
      { config },
    );
    expect(incidents.map(({ host, site, sessions }) => [host, site, sessions])).toEqual([
      [ROGUE, 'north', 1],
      [ROGUE, 'south', 1],
      [ROGUE, '', 1],
    ]);
    expect(new Set(incidents.map(({ incident_id }) => incident_id)).size).toBe(3);
  });
});

describe('blocks', () => {
  const twoMails = (at = 0, from = ROGUE) => [...mail(from, { at, fromPort: 1000 + at / 1000 })];

  it('the network that already denies it is flagged, with attempts and no destinations, and not blocked', () => {
    const denied: Flow = { from: ROGUE, to: OUTSIDE, forwarding: 0x80, flags: 'S', packets: 3, bytes: 180 };
    for (const flow of [denied, { ...denied, forwarding: 0, firewallEvent: 3 }]) {
      const { of } = detect([flow, { ...flow, fromPort: 2, at: SECOND }]);
      expect(of(ROGUE)).toMatchObject({
        grade: 'attempted',
        flags: expect.arrayContaining(['denied']),
        attempts: 2,
        sessions: 0,
        destinations: { count: 0 },
        block: { state: 'none' },
      });
    }
    // Whatever the mark says: what carries so much was not dropped.
    const passed = { ...denied, flags: 'FSPA', packets: 20, bytes: 6000 };
    expect(detect([passed, { ...passed, fromPort: 2, at: SECOND }]).of(ROGUE)).toMatchObject({
      grade: 'conversed',
      flags: [],
      block: { state: 'published' },
    });
  });

  it('a never-block host has alerts and the reason', () => {
    const { of } = detect(twoMails(), { config: { ...STRICT, block: { mode: 'publish', never: [ROGUE] } } });
    expect(of(ROGUE)?.block).toMatchObject({
      state: 'refused',
      reason: expect.stringContaining('never-block'),
    });
  });

  it.each([
    ['observe', 'observed'],
    ['propose', 'proposed'],
    ['publish', 'published'],
  ] as const)('mode %s makes it %s', (mode, state) => {
    const { of } = detect(twoMails(), { config: { ...STRICT, block: { mode } } });
    expect(of(ROGUE)?.block.state).toBe(state);
  });

  it('the list has a cap, and a rate', () => {
    const flows = [twoMails(0, '10.0.0.1'), twoMails(1000, '10.0.0.2'), twoMails(2000, '10.0.0.3')].flat();
    const states = (block: object) =>
      detect(flows, { config: { ...STRICT, block: { mode: 'publish', ...block } } }).incidents.map(
        (incident) => incident.block.state,
      );
    expect(states({ max_entries: 2 })).toEqual(['published', 'published', 'refused']);
    expect(states({ max_new_per_hour: 1 })).toEqual(['published', 'refused', 'refused']);
  });

  it('a refused block follows when the rate allows it again', () => {
    const config = { ...STRICT, block: { mode: 'publish' as const, max_new_per_hour: 1 } };
    const { of, alerts } = detect(
      [...twoMails(0, '10.0.0.1'), ...twoMails(1000, '10.0.0.2'), ...twoMails(HOUR + 2 * MINUTE, '10.0.0.2')],
      { config },
    );
    expect(of('10.0.0.2')?.block.state).toBe('published');
    expect(alerts.filter(({ host }) => host === '10.0.0.2').map(({ block }) => block.state)).toEqual([
      'none',
      'refused',
      'published',
    ]);
  });

  it('a block ends after its time of silence, is kept while attempts go on, and comes back on new evidence', () => {
    const config = {
      ...STRICT,
      block: { mode: 'publish' as const, ttl: '1h' },
      detection: { quiet: '24h', update_interval: '24h' },
    };
    const syn = (at: number): Flow => ({
      from: ROGUE,
      to: OUTSIDE,
      fromPort: 5,
      flags: 'S',
      packets: 1,
      bytes: 60,
      at,
    });
    const silent = detect(twoMails(), { config, upTo: HOUR + SECOND });
    expect(silent.of(ROGUE)).toMatchObject({ state: 'open', block: { state: 'expired' } });
    expect(silent.alerts.at(-1)).toMatchObject({ kind: 'updated', emitted_at: '2026-03-01T11:00:00.000Z' });

    const goesOn = detect([...twoMails(), syn(40 * MINUTE), syn(80 * MINUTE)], {
      config,
      upTo: 100 * MINUTE,
    });
    expect(goesOn.of(ROGUE)?.block).toMatchObject({ state: 'published', until: '2026-03-01T12:20:00.000Z' });

    const attempts = detect([...twoMails(), syn(2 * HOUR)], { config });
    expect(attempts.of(ROGUE)?.block.state).toBe('expired');
    const returns = detect([...twoMails(), ...twoMails(2 * HOUR)], { config });
    expect(returns.of(ROGUE)?.block).toMatchObject({
      state: 'published',
      since: '2026-03-01T12:00:00.000Z',
    });
  });
});

describe('the life of an incident', () => {
  const config = {
    ...STRICT,
    detection: { quiet: '2h', update_interval: '30m' },
    block: { mode: 'publish' as const, ttl: '3h', grace: '24h' },
  };

  it('is updated at most once an interval and closed after quiet', () => {
    const flows = Array.from(
      { length: 91 },
      (_, i): Flow => ({ from: ROGUE, to: OUTSIDE, fromPort: 1000 + i, at: i * MINUTE }),
    );
    const { alerts, of } = detect(flows, { config, upTo: 5 * HOUR });
    expect(alerts.map(({ kind, emitted_at }) => [kind, emitted_at.slice(11, 16)])).toEqual([
      ['opened', '10:00'],
      ['updated', '10:01'],
      ['updated', '10:31'],
      ['updated', '11:01'],
      ['closed', '13:30'],
      ['updated', '14:10'],
    ]);
    expect(of(ROGUE)).toMatchObject({
      state: 'closed',
      closed_at: '2026-03-01T13:30:00.000Z',
      sessions: 91,
    });
  });

  it('begins anew when the host returns, counts the recurrence, and blocks for longer', () => {
    const { incidents, kinds } = detect([...mail(ROGUE), ...mail(ROGUE, { at: 10 * HOUR })], { config });
    expect(kinds().filter((kind) => kind !== 'updated')).toEqual(['opened', 'closed', 'opened']);
    expect(incidents).toMatchObject([
      { recurrence: 0, state: 'closed' },
      { recurrence: 1, state: 'open', sessions: 1, block: { until: '2026-03-02T02:00:00.000Z' } },
    ]);
    expect(incidents[0].incident_id).not.toBe(incidents[1].incident_id);
  });

  it('has the same ids whenever the same flows are read', () => {
    const flows = sequenced([...mail(ROGUE), ...mail(ROGUE, { at: 10 * HOUR })]);
    expect(detect(flows, { config }).alerts).toEqual(detect(flows, { config }).alerts);
  });

  it('is closed when the table of hosts is full and a newer host needs the place', () => {
    const { kinds, of, detector } = detect([...mail('10.0.0.1'), ...mail('10.0.0.2', { at: SECOND })], {
      config: { ...STRICT, detection: { max_hosts: 1 } },
    });
    expect(kinds('10.0.0.1')).toEqual(['opened', 'updated', 'closed']);
    expect(of('10.0.0.1')?.state).toBe('closed');
    expect(detector.counters).toMatchObject({ hosts: 1, evictedHosts: 1, open: { conversed: 1 } });
  });
});

describe('companions, which are off by default', () => {
  const other = '10.0.0.99';
  const internalOn = { ...STRICT, detection: { internal: { alert: true } } };
  const twice = (from: string, to: string) => [
    ...mail(from, { to }),
    ...mail(from, { to, fromPort: 41_000, at: SECOND }),
  ];

  it("port 25 between internal hosts is nobody's offence, unless asked for: then an alert, and no block", () => {
    expect(detect(twice(ROGUE, other)).incidents).toEqual([]);
    const { of, incidents } = detect(twice(ROGUE, other), { config: internalOn });
    expect(incidents).toHaveLength(1);
    expect(of(ROGUE)).toMatchObject({ grade: 'conversed', sessions: 2, block: { state: 'none' } });
    expect(of(ROGUE)?.reasons.join()).toContain('2 sessions with internal servers');
  });

  it('mail to the authorised mail server is what clients do, also then', () => {
    expect(detect(twice(ROGUE, MAIL_SERVER), { config: internalOn }).incidents).toEqual([]);
  });

  it('internal sessions do not make a block out of one session with the outside', () => {
    const { of } = detect([...twice(ROGUE, other), { from: ROGUE, to: OUTSIDE, at: 2 * SECOND }], {
      config: internalOn,
    });
    expect(of(ROGUE)).toMatchObject({ sessions: 3, block: { state: 'none' } });
  });

  it('a NAT pool has alerts, and is never blocked: many hosts are behind it', () => {
    const config = { ...STRICT, networks: { internal: ['10.0.0.0/8'], nat: ['10.0.0.64/30'] } };
    const { of } = detect(twice(ROGUE, OUTSIDE), { config });
    expect(of(ROGUE)).toMatchObject({
      grade: 'conversed',
      block: { state: 'refused', reason: expect.stringContaining('NAT pool') },
    });
    const beside = detect(twice('10.0.0.68', OUTSIDE), { config });
    expect(beside.of('10.0.0.68')?.block.state).toBe('published');
  });
});
