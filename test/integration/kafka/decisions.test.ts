/**
 * An operator decides while roles are killed with SIGKILL: collector, two detectors, a store and a serve role in mode
 * `propose` on a broker. What was answered with success is in force in the end, under the operator's name, and once in
 * the audit log; nothing else is in force.
 */

import { readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { decisionSchema } from '../../../src/messages/decision.ts';
import type { AuditEntry, BlockRow } from '../../../src/publish/desk.ts';
import { createKafkaStream } from '../../../src/stream/kafka/kafka-stream.ts';
import { keptLog } from '../../stream/support.ts';
import { runCommandLine } from '../../support/command.ts';
import { v5 } from '../../support/datagrams.ts';
import { sendDatagrams, startService } from '../../support/service.ts';
import { cannotHaveKafka } from './broker.ts';
import { comesTrue, freshPrefix, kafkaConfig, oneBroker } from './support.ts';

const reason = await cannotHaveKafka();
const ROGUES = 16;
const host = (n: number) => `10.0.1.${n}`;

const broker = oneBroker(reason);

/** A mail session of every rogue host, with ports of their own. */
function datagram(sequence: number): Buffer {
  return v5(
    Array.from({ length: ROGUES }, (_, i) => ({
      src: host(i + 1),
      dst: `198.51.100.${1 + (sequence % 200)}`,
      srcPort: 20_000 + (sequence % 40_000),
      dstPort: 25,
      packets: 20,
      bytes: 6000,
      flags: 0x1b,
    })),
    { sequence: sequence * ROGUES },
  );
}

type Action = 'approve' | 'reject' | 'release';
interface Attempt {
  readonly action: Action;
  readonly host: string;
  readonly by: string;
  /** Of no other attempt. */
  readonly reason: string;
  answered: boolean;
}

const STATES = { approve: 'published', reject: 'refused', release: 'expired' } as const;
const WORDS = { approve: 'approved', reject: 'rejected', release: 'released' } as const;

describe.skipIf(reason !== null)(`decisions${reason === null ? '' : ` (${reason})`}`, () => {
  it('are in force once answered, whoever is killed, and nothing else is', async () => {
    const prefix = freshPrefix();
    const topics = { flows: { partitions: 2 }, mail: { partitions: 4 } };
    const admin = createKafkaStream({
      config: kafkaConfig(broker.cluster, prefix, { topics }),
      log: keptLog(),
    });
    await admin.start();
    await admin.checkTopics(true);
    const published: string[] = [];
    const spy = await admin.subscribe({
      streams: ['decisions'],
      group: 'spy',
      unit: 'message',
      sharing: 'alone',
      onDelivery: async ({ messages }) => {
        for (const { value } of messages)
          published.push(decisionSchema.parse(JSON.parse(Buffer.from(value).toString())).reason);
      },
    });
    await spy.assigned;
    const config = `networks: { internal: [10.0.0.0/8] }
senders: [{ name: mail, hosts: [10.0.0.25] }]
block: { mode: propose, unseen_senders: publish, max_new_per_hour: 1000 }
acl: { targets: [{ name: edge, platform: cisco-ios }] }
kafka: { brokers: ["${broker.cluster.brokers[0]}"], topic_prefix: ${prefix}, topics: ${JSON.stringify(topics)} }
log: { level: warn }
`;
    const start = (command: string, name: string) =>
      startService({ directory: broker.directory, name, command, config });
    let [collect, detect1, detect2, store, serve] = await Promise.all([
      start('collect', 'collect'),
      start('detect', 'detect1'),
      start('detect', 'detect2'),
      start('store', 'store'),
      start('serve', 'serve'),
    ]);
    let sequence = 0;
    let sending = true;
    // All the time, so that a detector that comes back has something to read again.
    const sender = (async () => {
      while (sending) {
        await sendDatagrams(collect.udpPort, [datagram(sequence++)]);
        await sleep(100);
      }
    })();

    const attempts: Attempt[] = [];
    const wanted = new Map<string, Action>();
    const rows = async () => (await serve.client.acl.overview()).hosts;
    const rowOf = async (n: number) => (await rows()).find((row) => row.host === host(n));

    /** One attempt; false where the answer did not come. `during` begins with the request. */
    async function attempt(
      action: Action,
      n: number,
      during: () => Promise<void> = async () => undefined,
    ): Promise<boolean> {
      const one: Attempt = {
        action,
        host: host(n),
        by: 'ada',
        reason: `${action} ${n}, attempt ${attempts.length}`,
        answered: false,
      };
      attempts.push(one);
      const { acl } = serve.client;
      const request = { hosts: [one.host], by: one.by, reason: one.reason };
      const asked = (
        action === 'release' ? acl.release({ ...request, forMs: 3_600_000 }) : acl[action](request)
      ).then(
        (done) => {
          one.answered = done.length === 1 && done[0].startsWith(`${one.host} is ${WORDS[action]}`);
        },
        () => undefined,
      );
      await Promise.all([asked, during()]);
      return one.answered;
    }

    /** Repeats until it is answered with success, or is in force by an attempt whose answer was lost. */
    async function decide(action: Action, n: number, during?: () => Promise<void>): Promise<void> {
      wanted.set(host(n), action);
      if (await attempt(action, n, during)) return;
      const inForce = async () => {
        // Another decision may have had the serve role killed at this moment.
        const block = (await rowOf(n).catch(() => undefined))?.block;
        return block?.state === STATES[action] && block.reason.startsWith(WORDS[action]);
      };
      await comesTrue(
        async () => {
          if (await inForce()) return true;
          // A person is not that quick.
          await sleep(200);
          return attempt(action, n);
        },
        `${action} ${host(n)}`,
      );
    }

    async function killServe(afterMs: number): Promise<void> {
      await sleep(afterMs);
      await serve.end('SIGKILL');
      serve = await start('serve', 'serve');
    }
    async function killDetectors(afterMs: number): Promise<void> {
      await sleep(afterMs);
      await Promise.all([detect1.end('SIGKILL'), detect2.end('SIGKILL')]);
      [detect1, detect2] = await Promise.all([start('detect', 'detect1'), start('detect', 'detect2')]);
    }
    async function killDetector(afterMs: number): Promise<void> {
      await sleep(afterMs);
      await detect1.end('SIGKILL');
      detect1 = await start('detect', 'detect1');
    }

    try {
      await comesTrue(
        async () => (await rows()).filter(({ block }) => block.state === 'proposed').length === ROGUES,
        'all hosts proposed',
      );
      // Each a little later than the one before, from before the request is read to after its answer.
      for (const [n, afterMs] of [0, 2, 4, 8, 16].entries()) {
        await decide(n % 2 === 0 ? 'approve' : 'reject', n + 1, () => killServe(afterMs));
      }
      await decide('approve', 6, () => killDetectors(0));
      await decide('reject', 7, () => killDetector(10));
      await decide('approve', 8, () => killDetectors(20));
      await Promise.all([decide('approve', 9), decide('reject', 10), killDetector(5), killServe(6)]);
      // Second thoughts, by another detector than the one that had the first.
      await decide('approve', 11, () => killDetectors(50));
      await comesTrue(async () => (await rowOf(11))?.listed === true, `${host(11)} in the lists`);
      await decide('release', 11, () => killDetectors(5));
      await decide('reject', 12, () => killDetectors(50));
      await decide('approve', 12, () => killServe(5));

      // While no detector runs, and while no serve role does.
      await Promise.all([detect1.end('SIGKILL'), detect2.end('SIGKILL')]);
      await decide('approve', 13);
      await decide('reject', 14);
      await serve.end('SIGKILL');
      const byHand: Attempt = {
        action: 'approve',
        host: host(15),
        by: userInfo().username,
        reason: 'by hand, beside',
        answered: true,
      };
      const asked = ['acl', 'approve', byHand.host, '--reason', byHand.reason];
      const done = await runCommandLine([...asked, '--config', serve.configFile], { cwd: broker.directory });
      expect(done.stdout).toBe(`${byHand.host} is approved\n`);
      attempts.push(byHand);
      wanted.set(byHand.host, byHand.action);
      serve = await start('serve', 'serve');
      await sleep(500);
      expect(['proposed', undefined]).toContain((await rowOf(13))?.block.state);
      [detect1, detect2] = await Promise.all([start('detect', 'detect1'), start('detect', 'detect2')]);

      const isAsWanted = ({ host, block, listed }: BlockRow) => {
        const action = wanted.get(host);
        return (
          block.state === (action === undefined ? 'proposed' : STATES[action]) &&
          listed === (action === 'approve')
        );
      };
      let last: readonly BlockRow[] = [];
      await comesTrue(
        async () => {
          last = await rows();
          return last.length === ROGUES && last.every(isAsWanted);
        },
        () => `all decisions in force: ${JSON.stringify(last.filter((row) => !isAsWanted(row)))}`,
      );
      // Nothing that comes late changes it.
      await sleep(3000);
      last = await rows();
      expect(last.filter((row) => !isAsWanted(row))).toEqual([]);
      expect(last).toHaveLength(ROGUES);
      sending = false;
      await sender;

      const listed = [...wanted].filter(([, action]) => action === 'approve').map(([host]) => host);
      const inFile = /deny tcp host (\S+) any eq 25/g;
      const file = readFileSync(join(broker.directory, 'serve', 'acl', 'edge.4.txt'), 'utf8');
      expect([...file.matchAll(inFile)].map(([, host]) => host).sort()).toEqual([...listed].sort());

      const log = readFileSync(join(broker.directory, 'serve', 'audit.ndjson'), 'utf8')
        .trim()
        .split('\n')
        .map((line): AuditEntry => JSON.parse(line))
        .filter(({ what }) => what in STATES);
      for (const { action, host, by, reason: why, answered } of attempts)
        if (answered)
          expect(log.filter((line) => line.why === why)).toMatchObject([{ what: action, host, by }]);
      // Also of attempts whose answer was lost: those that were made are noted, once, and no others.
      expect(log.map(({ why }) => why).sort()).toEqual([...published].sort());
      for (const { host, incident_id, block } of last) {
        const stored = async () => (await store.client.incident(incident_id ?? '')).incident.block;
        await expect
          .poll(stored, { timeout: 30_000 })
          .toMatchObject({ state: block.state, reason: block.reason });
        const made = attempts.filter((one) => one.host === host);
        if (made.length === 0)
          expect(block).toMatchObject({ state: 'proposed', reason: 'waits for approval' });
        else {
          const inForce = made.filter((one) => block.reason.endsWith(`: ${one.reason}`));
          expect(inForce, `${host}: ${block.reason}`).toHaveLength(1);
          expect(inForce[0].reason).toBe(
            published.findLast((why) => made.some(({ reason }) => reason === why)),
          );
          expect(block.approved_by).toBe(inForce[0].action === 'approve' ? inForce[0].by : undefined);
        }
      }
      const alerts = await store.client.alerts({ limit: 100_000 });
      expect(new Set(alerts.map((alert) => alert.alert_id)).size).toBe(alerts.length);
      const changes = alerts
        // A host that goes on after a no is reported again.
        .filter(({ reasons }) => !reasons.some((reason) => reason.includes('goes on')))
        .filter(({ block }) => attempts.some(({ reason }) => block.reason.endsWith(`: ${reason}`)))
        .map(({ host, kind, grade, block }) => `${host} ${kind} ${grade} ${block.reason}`);
      expect(new Set(changes).size, 'a decision alerted twice').toBe(changes.length);
      console.log(
        `${attempts.length} attempts, ${attempts.filter(({ answered }) => !answered).length} without an answer, ${log.length} in the audit log`,
      );
    } catch (error) {
      for (const service of [detect1, detect2, store, serve]) console.error(service.log().slice(-3000));
      throw error;
    } finally {
      sending = false;
      await Promise.all([collect, detect1, detect2, store, serve].map((service) => service.end('SIGTERM')));
      await admin.stop();
    }
  });
});
