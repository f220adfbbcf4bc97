/** Runs the cases of the lab, several side by side, and tells what each said. */

import { chmodSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Namespaces } from '../namespaces.ts';
import type { Case } from './cases/case.ts';
import { CASES, caseAddress } from './cases.ts';
import { openCase, type Place, type Wire } from './network.ts';
import type { Programs } from './programs.ts';
import { serverAddress } from './topology.ts';

const WIRES: Readonly<Record<Case['path'], Wire>> = {
  '20ms': { delayMs: 20, loss: 0, mtu: 1500 },
  near: { delayMs: 0.5, loss: 0, mtu: 1500 },
  far: { delayMs: 120, loss: 0, mtu: 1500 },
  tunnel: { delayMs: 20, loss: 0, mtu: 1400 },
  lossy: { delayMs: 20, loss: 0.015, mtu: 1500 },
};
const RUN_WITHIN_S = 150;
const HERE = new URL('.', import.meta.url).pathname;

export interface CaseRun {
  readonly name: string;
  /** Exit code of each run. */
  readonly codes: readonly number[];
  readonly output: string;
}

export async function runCases(
  network: Namespaces<Place>,
  programs: Programs,
  chosen: readonly Case[],
  atOnce: number,
  say: (line: string) => void,
): Promise<CaseRun[]> {
  const results: CaseRun[] = [];
  const waiting = [...chosen];
  const worker = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const result = await runCase(network, programs, next);
      results.push(result);
      say(`${results.length}/${chosen.length} ${result.name} ${result.codes.join(' ')}`);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return results;
}

async function runCase(network: Namespaces<Place>, programs: Programs, mail: Case): Promise<CaseRun> {
  const index = CASES.indexOf(mail);
  const address = caseAddress(index);
  const wire = WIRES[mail.path];
  const place = await openCase(network, index, address, wire, mail.timestamps, programs.delayLink);
  try {
    const target = serverAddress(mail.server, mail.family);
    // Agents work here under users of their own.
    chmodSync(place.namespaces.directory, 0o755);
    const work = join(place.namespaces.directory, 'work');
    mkdirSync(work);
    chmodSync(work, 0o777);
    const environment = {
      ...programs.environment,
      T: target,
      H: mail.family === 6 ? `[${target}]` : target,
      SRC: address,
      W: work,
      L: HERE,
      HOME: work,
    };
    const exports = Object.entries(environment).map(([key, value]) => `export ${key}='${value}'`);
    const codes: number[] = [];
    let output = '';
    const shell = async (script: string) => {
      const lines = [...programs.overlay, ...exports, `cd "$W"`, script].join('\n');
      const running = place.namespaces.start(place.place, 'timeout', String(RUN_WITHIN_S), 'sh', '-c', lines);
      await running.failure.catch(() => undefined);
      output += running.output();
      return running.process.exitCode ?? -1;
    };
    if (mail.setup !== undefined) {
      // What it leaves running ends with the namespace.
      const code = await shell(mail.setup);
      if (code !== 0) codes.push(code);
    }
    for (let n = 0; n < mail.repeats; n++) {
      if (n > 0) await sleep(mail.pauseMs);
      codes.push(await shell(`N=${n}; export N\n${mail.run}`));
    }
    // The last flow's end, and what a queue still has to send.
    await sleep(300 + mail.pauseMs);
    return { name: mail.name, codes, output: output.slice(0, 4000) };
  } finally {
    await place.close();
  }
}
