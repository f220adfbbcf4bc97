/** Submission with `detection.submission.alert`: what people's mail programs do raises nothing, what a bot does is reported, never blocked. */

import { describe, expect, it } from 'vitest';
import type { ConfigInput } from '../../src/config/schema.ts';
import type { Alert, Incident } from '../../src/messages/alert.ts';
import { detect, detectorFor, MAIL_SERVER, OUTSIDE, ROGUE, STRICT } from '../support/detecting.ts';
import { batchOf, type Flow, HOUR, MINUTE, replyTo, SECOND, T0 } from '../support/flows.ts';

const config: ConfigInput = {
  ...STRICT,
  networks: { ...STRICT.networks, nat: ['10.9.0.1/32'] },
  detection: { submission: { alert: true } },
};

const server = (n: number) => `198.51.${100 + (n >> 8)}.${n & 255}`;
let port = 1024;

/** A session of a client with STARTTLS, AUTH and a message, and the server's half. */
function session(changes: Partial<Flow>): Flow[] {
  port = port === 60_000 ? 1024 : port + 1;
  const flow: Flow = {
    from: ROGUE,
    to: OUTSIDE,
    toPort: 587,
    fromPort: port,
    packets: 18,
    bytes: 5200,
    ...changes,
  };
  return [flow, replyTo(flow, { packets: 16, bytes: 6100 })];
}

/** So many sessions, `everyMs` apart, with so many servers in turn. */
const sessions = (count: number, servers: number, everyMs: number, changes: Partial<Flow> = {}): Flow[] =>
  Array.from({ length: count }, (_, i) =>
    session({ to: server(i % servers), at: i * everyMs, ...changes }),
  ).flat();

const attempts = (count: number, everyMs: number): Flow[] =>
  Array.from(
    { length: count },
    (_, i): Flow => ({
      from: ROGUE,
      to: server(i),
      toPort: 587,
      fromPort: 2000 + i,
      flags: 'S',
      packets: 1,
      bytes: 60,
      at: i * everyMs,
    }),
  );

describe('ordinary submission', () => {
  it.each<[string, Flow[]]>([
    ['a client with five providers of three addresses each, 60 mails in an hour', sessions(60, 15, MINUTE)],
    ['a phone with one provider over days', sessions(100, 2, 40 * MINUTE)],
    ['a program that sends a mail every 15 s to one relay', sessions(240, 1, 15 * SECOND)],
    ['a monitor of three servers, every minute each', sessions(180, 3, 20 * SECOND)],
    ['a client that meets new servers slowly', sessions(100, 100, 4 * MINUTE)],
    ['forty clients behind NAT, with 120 servers', sessions(1200, 120, 3 * SECOND, { from: '10.9.0.1' })],
    ['a client whose network blocks the port, at 30 addresses', attempts(30, SECOND)],
    ['a declared sender, in bulk', sessions(400, 50, SECOND, { from: MAIL_SERVER })],
    ['the mail server inside, with every client', sessions(400, 1, SECOND, { to: MAIL_SERVER })],
  ])('%s raises nothing', (_, flows) => {
    const { incidents, alerts } = detect(flows, { config, upTo: 100 * HOUR });
    expect(incidents).toEqual([]);
    expect(alerts).toEqual([]);
  });

  it('is not looked at unless asked for', () => {
    expect(detect(sessions(100, 100, SECOND)).incidents).toEqual([]);
  });

  it('adds nothing to an incident of port 25', () => {
    const mail = [0, 1].flatMap((i) => session({ toPort: 25, at: i * SECOND }));
    const plain = detect(mail, { config }).of(ROGUE);
    const client = detect(
      [...mail, ...sessions(15, 15, MINUTE).map((f) => ({ ...f, at: (f.at ?? 0) + MINUTE }))],
      { config },
    );
    const { ports, sessions: count, destinations, grade, last_seen } = client.of(ROGUE) ?? {};
    expect({ ports, sessions: count, destinations, grade, last_seen }).toEqual({
      ports: [25],
      sessions: 2,
      destinations: plain?.destinations,
      grade: plain?.grade,
      last_seen: plain?.last_seen,
    });
    expect(client.of(ROGUE)?.block.state).toBe('published');
  });
});

describe('a bot on a submission port', () => {
  it('is reported once it is with 20 servers, with all that it did, and never blocked', () => {
    const { alerts, of } = detect(sessions(60, 60, 20 * SECOND), { config });
    expect(alerts[0]).toMatchObject({
      kind: 'opened',
      host: ROGUE,
      grade: 'bulk',
      flags: ['submission_fan'],
      ports: [587],
      sessions: 20,
      destinations: { count: 20, exact: true },
      packets: 20 * 18,
      first_seen: new Date(T0).toISOString(),
      block: { state: 'none' },
    });
    expect(alerts[0].reasons.join()).toContain('at least 20 servers');
    expect(alerts[0].reasons.join()).not.toContain('may have carried a message, or');
    expect(of(ROGUE)).toMatchObject({ sessions: 60, destinations: { count: 60 }, block: { state: 'none' } });
  });

  it.each<[string, Flow[], object]>([
    [
      'at one server, many times',
      sessions(301, 1, 10 * SECOND),
      { grade: 'bulk', destinations: { count: 1 } },
    ],
    [
      'on 465 and 2525',
      [...sessions(10, 10, SECOND, { toPort: 465 }), ...sessions(25, 25, SECOND, { toPort: 2525 })],
      { grade: 'bulk', ports: [465, 2525] },
    ],
    ['that reaches nobody', attempts(40, SECOND), { grade: 'attempted', attempts: 40 }],
    ['behind NAT', sessions(200, 200, 5 * SECOND, { from: '10.9.0.1' }), { grade: 'bulk', host: '10.9.0.1' }],
    [
      'known by the replies only',
      sessions(30, 30, SECOND).filter(({ from }) => from !== ROGUE),
      { grade: 'bulk' },
    ],
  ])('is reported: %s', (_, flows, expected) => {
    const { incidents, alerts } = detect(flows, { config, upTo: 3 * HOUR });
    expect(incidents).toHaveLength(1);
    expect(incidents[0]).toMatchObject({ flags: expect.arrayContaining(['submission_fan']), ...expected });
    expect(['none', 'refused']).toContain(incidents[0].block.state);
    expect(alerts.map(({ kind }) => kind).filter((kind) => kind === 'opened')).toHaveLength(1);
  });

  it('is not blocked for it when a little port 25 is in the incident, too', () => {
    const greeting = [0, 1, 2].flatMap((i) => session({ toPort: 25, packets: 8, bytes: 420, at: i }));
    const { of, kinds } = detect([...greeting, ...sessions(60, 60, 20 * SECOND)], { config });
    expect(of(ROGUE)).toMatchObject({
      grade: 'bulk',
      ports: [25, 587],
      sessions: 63,
      block: { state: 'none' },
    });
    expect(kinds(ROGUE)).toContain('escalated');
  });

  it('counts with the thresholds of the configuration, within its window only', () => {
    const strict: ConfigInput = {
      ...config,
      detection: { submission: { alert: true, servers: 3, window: '10m' } },
    };
    expect(detect(sessions(3, 3, MINUTE), { config: strict }).incidents).toHaveLength(1);
    expect(detect(sessions(3, 3, 6 * MINUTE), { config: strict }).incidents).toEqual([]);
  });

  it('closes after quiet although its owner goes on as an ordinary client', () => {
    const later = sessions(20, 2, 2 * HOUR).map((flow) => ({ ...flow, at: (flow.at ?? 0) + 2 * HOUR }));
    const { kinds, of } = detect([...sessions(20, 20, SECOND), ...later], { config, upTo: 60 * HOUR });
    expect(kinds(ROGUE)).toEqual(['opened', 'closed']);
    expect(of(ROGUE)).toMatchObject({ state: 'closed', sessions: 20 });
  });

  it('has the same incident and alerts after a kill about when it is reported', () => {
    const batches = sessions(26, 26, 2 * MINUTE).map((flow) => batchOf([flow]));
    const run = (killAt: number) => {
      const alerts = new Map<string, Alert>();
      const newest = new Map<string, Incident>();
      let committed = -1;
      let detector = detectorFor(config);
      const start = (end: number) => {
        detector = detectorFor(config);
        detector.resume(0, { from: committed < 0 ? null : committed + 1, end });
        for (const incident of newest.values()) detector.restore(JSON.parse(JSON.stringify(incident)));
      };
      for (let offset = 0; offset < batches.length; offset++) {
        detector.observe(batches[offset], { partition: 0, offset });
        const taken = detector.take();
        for (const alert of taken.alerts) if (!alerts.has(alert.alert_id)) alerts.set(alert.alert_id, alert);
        if (offset === killAt) {
          // Alerts are out, incidents and the commit are not.
          start(offset + 1);
          killAt = -1;
          offset = committed;
          continue;
        }
        for (const incident of taken.incidents) newest.set(incident.incident_id, incident);
        committed = Math.max(committed, detector.safeOffset(0));
      }
      return [...alerts.values()].map(({ alert_id, kind }) => ({ alert_id, kind }));
    };
    const calm = run(-1);
    expect(calm.map(({ kind }) => kind)).toEqual(['opened']);
    // The twentieth server is that of the 39th record.
    for (let at = 34; at < 44; at++) expect(run(at)).toEqual(calm);
  });
});
