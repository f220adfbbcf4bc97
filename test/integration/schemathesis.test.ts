/** The API keeps what its own document says, asked by a program that reads nothing but that document. */

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { lacksPython, PYTHON_HOME } from '../support/requirements.ts';
import { type RunningService, startService } from '../support/service.ts';

const obstacle = lacksPython('schemathesis');
const TOKEN = 'a-token-for-schemathesis';

const CONFIG = `
networks: { internal: [192.0.2.0/24] }
senders: [{ name: mail, hosts: [192.0.2.100] }]
block: { mode: propose }
acl: { targets: [{ name: edge, platform: cisco-ios, interface: Gi0/1 }] }
`;

/** A body that is too long is refused before its schema is looked at (413); schemathesis takes that for no refusal. */
const SETTINGS = `[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 406, 409, 413, 415, 422, 428, 429, "5xx"]
`;

describe.skipIf(obstacle !== null)(obstacle ?? 'schemathesis', () => {
  let directory: string;
  let service: RunningService;
  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-schemathesis-'));
    writeFileSync(join(directory, 'schemathesis.toml'), SETTINGS);
    const env = { ROGUE_SMTP__HTTP__TOKEN: TOKEN };
    service = await startService({ directory, config: CONFIG, env });
  });
  afterAll(async () => {
    await service?.end('SIGTERM');
    rmSync(directory, { recursive: true, force: true });
  });

  it('finds no answer that the document does not describe', async () => {
    const { host, port } = loadConfig({ file: service.configFile }).config.http.listen;
    const { code, output } = await run(
      ['run', `http://${host}:${port}/api/v1/openapi.json`],
      ['--header', `Authorization: Bearer ${TOKEN}`],
      // It never ends.
      ['--exclude-path', '/api/v1/events'],
      // That a host or a time is none is said by 400, and no JSON Schema can say which text is one.
      // And its wrong tokens meet the limit of failures (429, where it expects 401): test/security/access.test.ts asks that.
      ['--exclude-checks', 'positive_data_acceptance,ignored_auth'],
      ['--phases', 'coverage,fuzzing', '--max-examples', '3', '--max-time', '20', '--seed', '1'],
      ['--warnings', 'off', '--no-color'],
    );
    expect(code, output.slice(-8000)).toBe(0);
  });

  function run(...words: readonly (readonly string[])[]): Promise<{ code: number | null; output: string }> {
    const child = spawn(join(PYTHON_HOME, 'bin', 'schemathesis'), words.flat(), { cwd: directory });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk) => {
        output += String(chunk);
      });
    return new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code) => resolve({ code, output }));
    });
  }
});
