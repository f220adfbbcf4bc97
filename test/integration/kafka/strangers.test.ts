/** What schemas/README.md shows to somebody who reads the topics with tools of their own, run as it stands there. */

import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { encodeNative } from '../../../src/flow/native.ts';
import { alertMessage, chdbInstalled, flowBatch } from '../../store/fixture.ts';
import { missingTools } from '../../support/requirements.ts';
import { cannotHaveKafka } from './broker.ts';
import { comesTrue, freshPrefix, kafkaConfig, oneBroker, startKafkaStream } from './support.ts';

const run = promisify(execFile);
const ROOT = new URL('../../../', import.meta.url).pathname;

const reason = (await cannotHaveKafka()) ?? whyNot();

function whyNot(): string | null {
  if (!chdbInstalled) return 'chdb is not installed';
  if (missingTools('kcat').length === 0) return null;
  if (process.env.REQUIRE_ALL === '1') throw new Error('REQUIRE_ALL is set, but: needs kcat');
  return 'needs kcat';
}

/** The lines of the page that begin with a program. */
const SHOWN = readFileSync(join(ROOT, 'schemas/README.md'), 'utf8')
  .split('\n')
  .filter((line) => /^ {4}(kcat|node) /.test(line))
  .map((line) => line.trim());

describe.skipIf(reason !== null)(`a stranger${reason === null ? '' : ` (${reason})`}`, () => {
  const broker = oneBroker(reason);

  it('reads flows and alerts with what the page shows', async () => {
    const prefix = freshPrefix();
    const stream = await startKafkaStream(kafkaConfig(broker.cluster, prefix));
    const publish = (name: 'flows' | 'alerts', value: Uint8Array, rows: number, key: string) =>
      comesTrue(
        () =>
          stream.publish(name, [{ key, id: '', rows, value }]).then(
            ({ dropped }) => dropped === 0,
            () => false,
          ),
        'a publication',
      );
    const flow = { src: '10.0.0.5', dst: '198.51.100.7', srcPort: 4000, dstPort: 25, packets: 12 };
    for (let i = 0; i < 3; i++) {
      const rows = [0, 1].map((n) => ({
        ...flow,
        at: Date.UTC(2026, 2, 1) + n,
        dstPort: n === 0 ? 25 : 443,
      }));
      await publish('flows', encodeNative(flowBatch(rows)), 2, '');
    }
    await publish('alerts', Buffer.from(JSON.stringify(alertMessage())), 1, '10.0.0.5');

    expect(SHOWN).toHaveLength(4);
    const printed: string[] = [];
    for (const line of SHOWN) {
      const command = line
        .replaceAll('kafka-1.example.net:9092', broker.cluster.brokers.join(','))
        .replaceAll('rogue-smtp.', `${prefix}.`);
      const { stdout } = await run('bash', ['-c', `set -eo pipefail; ${command}`], {
        cwd: broker.directory,
        env: { ...process.env, NODE_PATH: join(ROOT, 'node_modules') },
        timeout: 60_000,
      });
      printed.push(stdout);
    }
    const [alerts = '', facts = '', , flows = ''] = printed;
    expect(flows).toContain('::ffff:10.0.0.5\t::ffff:198.51.100.7\t3\t36');
    const [key, message] = alerts.trim().split('\t');
    expect([key, JSON.parse(message!)]).toEqual(['10.0.0.5', JSON.parse(JSON.stringify(alertMessage()))]);
    expect(facts).toMatch(/schema_version=1,rows=2,.*received_from=1772323200000/);
  }, 240_000);
});
