/** For unit tests: whoever starts a process or opens a socket belongs into another project of vitest.config.ts. */

import childProcess from 'node:child_process';
import dgram from 'node:dgram';
import { syncBuiltinESMExports } from 'node:module';
import net from 'node:net';

function forbid(target: object, names: readonly string[]): void {
  for (const name of names)
    Object.defineProperty(target, name, {
      configurable: true,
      writable: true,
      value: () => {
        throw new Error(
          `a unit test may not call ${name}: move it to the project "parts" (test/vitest.config.ts)`,
        );
      },
    });
}

forbid(childProcess, ['spawn', 'spawnSync', 'exec', 'execSync', 'execFile', 'execFileSync', 'fork']);
forbid(dgram.Socket.prototype, ['bind']);
forbid(net.Server.prototype, ['listen']);
forbid(net.Socket.prototype, ['connect']);
syncBuiltinESMExports();
