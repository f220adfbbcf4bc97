/**
 * A part of the mail lab, live: programs of each kind, two exporters, and what the product says of their exports.
 *
 * The whole lab runs by hand (`npm run mail-lab`); its captures are replayed by test/scenarios/mail-lab.test.ts.
 */

import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { errorsOf, judgeCapture, PAYLOAD_RULE, summarise } from '../../scenarios/mail-lab.ts';
import { collector } from '../../support/decoding.ts';
import { readPcap } from '../../support/pcap.ts';
import { cannotRunAsRoot } from '../../support/requirements.ts';
import { CASES } from './cases.ts';
import { writeFixture } from './fixture.ts';
import { type LabResult, runLab } from './lab.ts';
import { LAB_TOOLS, missingPrograms, preparePrograms } from './programs.ts';
import { makeTruth, type TruthCase } from './truth.ts';

const NAMES = [
  'check_smtp-greeting-postfix',
  'check_smtp-starttls-chain',
  'openssl-s_client-exim',
  'node26-tls-certificate-chain',
  'postfix-tls-verify-chain',
  'smtplib-tls-noop-big',
  'bot-noop-10-postfix',
  'bot-rcpt-exim-v6',
  'smtplib-tls-send-refuse-rcpt',
  'smtplib-450-plain',
  'smtplib-tls-450-chain',
  'msmtp-450-exim',
  'exim-chunking-450-exim',
  'postfix-tls-450-chain',
  'bot-blast-450-plain',
  'bot-send-300-exim-nots',
  'postfix-server-exim',
];
const EXPORTERS = ['softflowd-v9', 'pmacctd-ipfix'];
const AT_ONCE = 8;

const plugins = '/usr/lib/nagios/plugins/check_smtp';
const obstacle = cannotRunAsRoot(...LAB_TOOLS, plugins, 'swaks', 'msmtp') ?? lacksPrograms();

function lacksPrograms(): string | null {
  const missing = missingPrograms();
  if (missing.length === 0) return null;
  if (process.env.REQUIRE_ALL === '1')
    throw new Error(`REQUIRE_ALL is set, but: needs ${missing.join(', ')}`);
  return `needs ${missing.join(', ')}`;
}

describe.skipIf(obstacle !== null)(
  `real programs of mail${obstacle === null ? '' : ` (${obstacle})`}`,
  () => {
    let out = '';
    let result: LabResult;
    let truth: TruthCase[];

    beforeAll(async () => {
      out = await mkdtemp(join(tmpdir(), 'rogue-smtp-mail-lab-'));
      const chosen = CASES.filter(({ name }) => NAMES.includes(name));
      result = await runLab(out, preparePrograms(), chosen, EXPORTERS, AT_ONCE, () => undefined);
      truth = makeTruth(chosen, result);
      writeFixture(out, EXPORTERS, truth, out);
    }, 280_000);
    afterAll(() => rmSync(out, { recursive: true, force: true }));

    it('do what their names say', () => {
      expect(truth.map(({ name }) => name).sort()).toEqual([...NAMES].sort());
      for (const { name, output } of result.runs) {
        const { kind, sessions, deliveries } = truth.find((each) => each.name === name) as TruthCase;
        expect(sessions, `${name}: ${output}`).toBeGreaterThan(0);
        if (kind === 'delivering') expect(deliveries, `${name}: ${output}`).toBe(sessions);
        if (kind === 'innocent' || kind === 'refused') expect(deliveries, name).toBe(0);
      }
    });

    it.each(EXPORTERS)('%s tells the packets and bytes that were on the wire', (exporter) => {
      const collected = collector();
      for (const { payload, source, sourcePort, receivedAtMs } of readPcap(join(out, `${exporter}.pcap`)))
        collected.decode(payload, { exporter: source, port: sourcePort, nowMs: receivedAtMs });
      const rows = collected.rows().filter((row) => row.dst_port === 25);
      for (const { host, name } of truth) {
        const sent = result.sessions.filter(({ client }) => client === host);
        const told = rows.filter((row) => row.src_addr === host);
        const sum = (of: readonly unknown[]) => of.reduce((total: number, each) => total + Number(each), 0);
        expect(sum(told.map(({ packets }) => packets)), name).toBe(
          sum(sent.map(({ forward }) => forward.packets)),
        );
        expect(sum(told.map(({ bytes }) => bytes)), name).toBe(sum(sent.map(({ forward }) => forward.bytes)));
      }
    });

    it.each(EXPORTERS)('%s: the product judges them', async (exporter) => {
      const verdict = await judgeCapture(exporter, out);
      expect(summarise(verdict, () => true).authorised).toEqual({ cases: 1, errors: 0 });
      if (!PAYLOAD_RULE) return;
      // Postfix mails over TLS are as large as post-quantum checks: whether one is found by its second delivery depends on
      // how many lone ACKs there are by chance. All others are far from every bound.
      const sure = verdict.cases.filter(({ name }) => !name.startsWith('postfix-tls-450'));
      expect(errorsOf({ ...verdict, cases: sure })).toEqual([]);
    });
  },
);
