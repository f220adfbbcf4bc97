/** What hostile SQL is aimed at: a file with a secret, a file that must not appear, and somebody who listens. */

import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Targets } from './sql-grammar.ts';

export const SECRET = 'canary-7f3a';

export interface LiveTargets extends Targets {
  /** What happened that must not. */
  harm(): string[];
  close(): void;
}

export async function liveTargets(): Promise<LiveTargets> {
  const directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-canary-'));
  const secret = join(directory, 'secret.csv');
  const out = join(directory, 'out.csv');
  writeFileSync(secret, `${SECRET}\n`);
  let connections = 0;
  const server = createServer((socket) => {
    connections++;
    socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  return {
    secret,
    out,
    url: `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}/x`,
    harm: () => [
      ...(existsSync(out) ? [`${out} was written`] : []),
      ...(connections > 0 ? [`${connections} connections came`] : []),
    ],
    close() {
      server.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
