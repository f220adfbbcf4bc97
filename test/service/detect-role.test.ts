import { describe, expect, it, vi } from 'vitest';
import { createDetectorPartitions } from '../../src/detect/detector-partitions.ts';
import { encodeNative } from '../../src/flow/native.ts';
import { createLogger } from '../../src/logger.ts';
import { alertSchema } from '../../src/messages/alert.ts';
import { createDetectRole } from '../../src/service/detect-role.ts';
import { decision, detect, detectorFor, OUTSIDE, ROGUE } from '../support/detecting.ts';
import { createDrivenStream, type DrivenStream, jsonMessage } from '../support/driven-stream.ts';
import { batchOf, type Flow, HOUR, SECOND, sequenced, T0 } from '../support/flows.ts';

const session = (fromPort: number, at = 0): Flow => ({
  from: ROGUE,
  to: OUTSIDE,
  fromPort,
  toPort: 25,
  flags: 'SPAF',
  packets: 20,
  bytes: 6000,
  at,
});
const mailMessage = (...flows: Flow[]) => encodeNative(batchOf(sequenced(flows)));

async function started(stream: DrivenStream) {
  const latencies: number[] = [];
  const detector = detectorFor();
  const role = createDetectRole({
    tell: () => undefined,
    policyVersion: () => 'v',
    stream,
    detectors: createDetectorPartitions(() => detector),
    log: createLogger('silent'),
    now: () => T0 + 3 * SECOND,
    onAlertLatency: (seconds) => latencies.push(seconds),
  });
  await role.start();
  return { role, detector, latencies };
}

function alertsOf(stream: DrivenStream) {
  return stream.published
    .filter((entry) => entry.stream === 'alerts')
    .map(({ message }) => alertSchema.parse(JSON.parse(Buffer.from(message.value).toString())));
}

describe('the detect role', () => {
  it('publishes alerts before incidents, and moves its position only after both', async () => {
    const stream = createDrivenStream();
    const { role, latencies } = await started(stream);
    await stream.deliver('mail', [mailMessage(session(1)), mailMessage(session(2, SECOND))], 0);
    await role.stop();

    expect(stream.journal.map((line) => line.replace(/ \d+$/, ''))).toEqual(
      expect.arrayContaining(['publish alerts', 'publish incidents']),
    );
    const first = (what: string) => stream.journal.findIndex((line) => line.startsWith(what));
    expect(first('publish alerts')).toBeLessThan(first('publish incidents'));
    const commit = first('commit mail');
    if (commit >= 0) expect(commit).toBeGreaterThan(first('publish incidents'));
    expect(alertsOf(stream)[0]).toMatchObject({ kind: 'opened', host: ROGUE, grade: 'conversed' });
    expect(latencies[0]).toBeGreaterThanOrEqual(2);
    expect(latencies[0]).toBeLessThanOrEqual(3);
  });

  it.each(['refuse', 'fail'] as const)(
    'rejects a delivery whose alerts the stream did not take (%s), commits nothing, and tells them when it comes again',
    async (answer) => {
      const stream = createDrivenStream();
      const { role } = await started(stream);
      const message = mailMessage(session(1));
      stream.answers.alerts = answer;
      await expect(stream.deliver('mail', [message], 0)).rejects.toThrow();
      expect(stream.journal).toEqual([]);

      delete stream.answers.alerts;
      await stream.deliver('mail', [message], 0);
      await role.stop();
      expect(alertsOf(stream).map(({ kind, host }) => [kind, host])).toEqual([['opened', ROGUE]]);
      expect(stream.journal.slice(0, 2)).toEqual(['publish alerts 1', 'publish incidents 1']);
    },
  );

  it('repeats alerts under their ids when the incidents behind them were refused', async () => {
    const stream = createDrivenStream();
    const { role } = await started(stream);
    const message = mailMessage(session(1));
    stream.answers.incidents = 'refuse';
    await expect(stream.deliver('mail', [message], 0)).rejects.toThrow('incidents were refused');
    delete stream.answers.incidents;
    await stream.deliver('mail', [message], 0);
    await role.stop();
    const ids = stream.published
      .filter((entry) => entry.stream === 'alerts')
      .map(({ message: { id } }) => id);
    expect(ids).toHaveLength(2);
    expect(ids[0]).toBe(ids[1]);
  });

  it('passes over a message that is no block, counts it, and goes on with the next', async () => {
    const stream = createDrivenStream();
    const { role } = await started(stream);
    await stream.deliver('mail', [Buffer.from('no block'), mailMessage(session(1))], 0);
    await role.stop();
    expect(role.counters.corruptMessages).toBe(1);
    expect(alertsOf(stream)).toHaveLength(1);
  });

  it('goes on with the incidents of the run before, and leaves out what it cannot read', async () => {
    const before = detect([session(1), session(2, SECOND)]);
    const stream = createDrivenStream();
    stream.kept = [...before.incidents.map(jsonMessage), jsonMessage({ schema: 'of something else' })];
    const { role, detector } = await started(stream);
    await role.stop();
    expect(detector.openIncidents().map(({ incident_id }) => incident_id)).toEqual(
      before.incidents.map(({ incident_id }) => incident_id),
    );
    expect(role.counters.corruptMessages).toBe(1);
    expect(alertsOf(stream)).toEqual([]);
  });

  it('takes decisions in the order of the stream, whatever the clocks of those who decided; before a restart and after', async () => {
    const before = detect([session(1), session(2, SECOND)]);
    const [incident] = before.incidents;
    const reject = decision('reject', incident, { by: 'bob' });
    const approve = decision('approve', incident, { decided_at: new Date(T0 + 1).toISOString() });
    const approved = { state: 'published', approved_by: 'ada' };
    const stream = createDrivenStream();
    stream.kept = [jsonMessage(incident)];
    const first = await started(stream);
    await stream.deliver('decisions', [jsonMessage(reject)], 0);
    expect(first.detector.openIncidents()[0].block.state).toBe('refused');
    await stream.deliver('decisions', [jsonMessage(approve)], 1);
    expect(first.detector.openIncidents()[0].block).toMatchObject(approved);
    await first.role.stop();

    stream.keptDecisions = [jsonMessage(reject), jsonMessage(approve)];
    const second = await started(stream);
    expect(second.detector.openIncidents()[0].block).toMatchObject(approved);
    await second.role.stop();
  });

  it('takes mail and decisions of a stream that was made anew, at offsets that it has read before', async () => {
    const stream = createDrivenStream();
    const { role, detector } = await started(stream);
    await stream.deliver('mail', [mailMessage(session(1)), mailMessage(session(2, SECOND))], 500);
    const [incident] = detector.openIncidents();
    await stream.deliver('decisions', [jsonMessage(decision('reject', incident))], 500);
    expect(detector.openIncidents()[0].block.state).toBe('refused');
    await stream.move('mail');
    await stream.move('decisions');
    const other = { ...session(3, 2 * SECOND), from: '10.0.0.77' };
    const again = { ...session(4, 2 * SECOND), from: '10.0.0.77' };
    await stream.deliver('mail', [mailMessage(other), mailMessage(again)], 0);
    await stream.deliver('decisions', [jsonMessage(decision('approve', incident))], 0);
    await role.stop();
    expect(detector.openIncidents().map(({ host }) => host)).toEqual([ROGUE, '10.0.0.77']);
    expect(detector.openIncidents()[0]).toMatchObject({
      incident_id: incident.incident_id,
      block: { state: 'published', approved_by: 'ada' },
    });
    const opened = alertsOf(stream).filter(({ kind }) => kind === 'opened');
    expect(opened.map(({ host }) => host)).toEqual([ROGUE, '10.0.0.77']);
  });

  it('goes on with incidents whose offsets are of a stream that is not there any more', async () => {
    const before = createDrivenStream();
    const first = await started(before);
    await before.deliver('mail', [mailMessage(session(1)), mailMessage(session(2, SECOND))], 500);
    const incidents = first.detector.openIncidents();
    await first.role.stop();
    const stream = createDrivenStream();
    stream.kept = incidents.map(jsonMessage);
    // Sent late, out of a backlog: received before the incident was published, and counted by nobody.
    const late = { ...session(9), from: ROGUE };
    stream.place = { from: null, end: 3 };
    const second = await started(stream);
    await stream.deliver('mail', [mailMessage(late)], 0);
    expect(second.detector.openIncidents()[0]).toMatchObject({
      incident_id: incidents[0].incident_id,
      sessions: incidents[0].sessions + 1,
    });
    await second.role.stop();
  });

  it('closes quiet incidents by its own clock while no mail comes', async () => {
    const stream = createDrivenStream();
    let clock = T0;
    const role = createDetectRole({
      tell: () => undefined,
      policyVersion: () => 'v',
      stream,
      detectors: createDetectorPartitions(() => detectorFor()),
      log: createLogger('silent'),
      now: () => clock,
      onAlertLatency: () => undefined,
    });
    await role.start();
    await stream.deliver('mail', [mailMessage(session(1))], 0);
    clock = T0 + 25 * HOUR;
    await vi.waitFor(() => expect(alertsOf(stream).map(({ kind }) => kind)).toContain('closed'), 10_000);
    await role.stop();
  });
});
