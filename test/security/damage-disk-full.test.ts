/** A disk that is full: what is refused is counted and reported with its cause, and all is well again afterwards. */

import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createSequenceFile } from '../../src/collect/sequence-file.ts';
import { configSchema } from '../../src/config/schema.ts';
import type { SequenceMark } from '../../src/decode/types.ts';
import { parseAddress } from '../../src/flow/address.ts';
import { createLogger } from '../../src/logger.ts';
import type { Alert } from '../../src/messages/alert.ts';
import { hostlessAlert } from '../../src/messages/hostless-alert.ts';
import { createAlertTeller } from '../../src/service/alert-teller.ts';
import { createCoverageRole } from '../../src/service/coverage-role.ts';
import { createLocalStream, type LocalStream } from '../../src/stream/local/local-stream.ts';
import { createFakeCollector } from '../support/fake-collector.ts';
import { createFakeStream } from '../support/fake-stream.ts';
import { cannotRunAsRoot } from '../support/requirements.ts';

const log = createLogger('silent');
const obstacle = cannotRunAsRoot('mount', 'umount');

describe.skipIf(obstacle !== null)(`a full disk${obstacle === null ? '' : ` (${obstacle})`}`, () => {
  let disk: string;
  beforeAll(() => {
    disk = mkdtempSync(join(tmpdir(), 'rogue-smtp-full-'));
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', disk]);
  });
  afterAll(() => {
    execFileSync('umount', [disk]);
    rmSync(disk, { recursive: true });
  });

  const filler = () => join(disk, 'filler');
  /** Takes every byte that is left. */
  function fill(): void {
    for (;;) {
      try {
        writeFileSync(filler(), Buffer.alloc(512), { flag: 'a' });
      } catch {
        return;
      }
    }
  }
  const free = () => rmSync(filler(), { force: true });

  async function started(directory: string): Promise<LocalStream> {
    mkdirSync(directory, { recursive: true });
    const stream = createLocalStream({ directory, maxBytesPerStream: 64 << 20, now: Date.now, log });
    await stream.start();
    return stream;
  }
  const message = (bytes: number, rows = 100) => ({ key: '', id: '', value: Buffer.alloc(bytes, 'x'), rows });

  it('is named as the cause in counters, readiness and the alert, which gets through when there is room', async () => {
    const stream = await started(join(disk, 'stream'));
    const role = createCoverageRole(configSchema.parse({}), {
      collector: createFakeCollector([]),
      stream,
      policyVersion: 'v',
      log,
      now: Date.now,
    });
    role.start();
    expect(stream.troubles?.()).toEqual([]);
    fill();
    await stream.publish('flows', [message(200_000)]);
    await expect.poll(() => stream.counters.dropped.alerts, { timeout: 10_000 }).toBeGreaterThan(0);
    const troubles = stream.troubles?.().join('; ');
    expect(troubles).toMatch(/the stream flows takes no messages: no space is left on the disk of /);
    expect(troubles).not.toMatch(/max_bytes/);
    free();
    await expect.poll(() => stream.counters.published.alerts, { timeout: 10_000 }).toBe(1);
    // Nobody publishes on `flows` any more, and it is well again all the same.
    await expect.poll(() => stream.troubles?.(), { timeout: 10_000 }).toEqual([]);
    const alerts: Alert[] = [];
    await stream.subscribe({
      streams: ['alerts'],
      group: 'test',
      unit: 'message',
      onDelivery: async ({ messages }) => {
        for (const { value } of messages) alerts.push(JSON.parse(Buffer.from(value).toString()));
      },
    });
    await expect.poll(() => alerts.length).toBe(1);
    expect(alerts[0].coverage).toMatchObject({ cause: 'spool_cut', lost: 100 });
    expect(alerts[0].reasons).toEqual([
      expect.stringMatching(/^100 rows of flows were not kept: no space is left on the disk of /),
    ]);
    await role.stop();
    await stream.stop();
  });

  it('leaks no file handle of the sequences, and no line of them', async () => {
    const warnings: string[] = [];
    const onWarning = (warning: Error) => void warnings.push(warning.message);
    process.on('warning', onWarning);
    const path = join(disk, 'sequences.ndjson');
    const failures: string[] = [];
    const file = createSequenceFile(path, (reason) => failures.push(reason));
    const descriptors = () => Number(execFileSync('sh', ['-c', `ls /proc/${process.pid}/fd | wc -l`]));
    fill();
    await file.open(Date.now());
    const before = descriptors();
    for (let next = 1; next <= 30; next++) {
      file.keep([mark(next)]);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    expect(failures).toEqual([expect.stringContaining('ENOSPC')]);
    // Others of this process come and go; each of the 30 attempts leaked one.
    expect(descriptors() - before).toBeLessThan(15);
    free();
    file.keep([mark(31)]);
    await file.close();
    expect(
      (await createSequenceFile(path, () => undefined).open(Date.now())).map(({ marks }) => marks[0].next),
    ).toEqual([31]);
    expect(readFileSync(path, 'utf8')).toMatch(/\n$/);
    setFlagsFromString('--expose-gc');
    runInNewContext('gc')();
    await new Promise((resolve) => setTimeout(resolve, 50));
    process.off('warning', onWarning);
    expect(warnings).toEqual([]);
  });
});

function mark(next: number): SequenceMark {
  return {
    address: parseAddress('192.0.2.1') ?? new Uint8Array(16),
    port: 0,
    version: 'v5',
    domain: 7,
    lastSeenMs: Date.now(),
    lost: 0,
    marks: [{ counting: 'flows', next, exportMs: 0, uptimeMs: null }],
  };
}

describe('an alert about no host', () => {
  const alert = (n: number) =>
    hostlessAlert({
      kind: 'coverage',
      identity: [n],
      sinceMs: 0,
      nowMs: 0,
      reasons: [String(n)],
      policy_version: '',
    });

  it.each(['refuse', 'fail'] as const)(
    'waits while the stream does not take it (%s), and keeps its order',
    async (how) => {
      const stream = createFakeStream();
      const teller = createAlertTeller(stream, log);
      stream.answer = how;
      for (const n of [1, 2, 3]) teller.tell(alert(n));
      await new Promise((resolve) => setTimeout(resolve, 50));
      expect(stream.messages).toEqual([]);
      stream.answer = 'accept';
      await expect.poll(() => stream.messages.length, { timeout: 5000 }).toBe(3);
      expect(stream.messages.map(({ message }) => message.id)).toEqual(
        [1, 2, 3].map((n) => alert(n).alert_id),
      );
      await teller.settled();
    },
  );

  it('gives way to newer ones when too many wait, and never piles up', async () => {
    const stream = createFakeStream();
    const teller = createAlertTeller(stream, log);
    stream.answer = 'refuse';
    for (let n = 0; n < 1500; n++) teller.tell(alert(n));
    await teller.settled();
    stream.answer = 'accept';
    await teller.settled();
    expect(stream.messages).toHaveLength(1000);
    expect(stream.messages.at(-1)?.message.id).toBe(alert(1499).alert_id);
  });
});
