import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { lockDirectory } from '../../src/stream/local/directory-lock.ts';
import { temporaryDirectory } from './support.ts';

/** A process that lives until it is killed. */
async function livingProcess() {
  const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000); console.log("up")']);
  onTestFinished(() => void child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  const pid = child.pid ?? 0;
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  const started = stat === '' ? null : stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  return { child, pid, started };
}

describe('the lock of a directory', () => {
  it('is held once, and free again after its release', async () => {
    const directory = await temporaryDirectory();
    const lock = await lockDirectory(directory);
    await expect(lockDirectory(`${directory}/.`)).rejects.toMatchObject({ code: 'io' });
    await lock.release();
    await (await lockDirectory(directory)).release();
    expect(await readdir(directory)).toEqual([]);
  });

  it('names the living process that holds it', async () => {
    const directory = await temporaryDirectory();
    const { pid, started } = await livingProcess();
    await writeFile(join(directory, 'lock'), JSON.stringify({ pid, started }));
    await expect(lockDirectory(directory)).rejects.toMatchObject({
      code: 'io',
      message: expect.stringContaining(`process ${pid}`),
    });
  });

  it('is taken over from a process that was killed', async () => {
    const directory = await temporaryDirectory();
    const { child, pid, started } = await livingProcess();
    await writeFile(join(directory, 'lock'), JSON.stringify({ pid, started }));
    child.kill('SIGKILL');
    await once(child, 'exit');
    await lockDirectory(directory);
    expect(JSON.parse(await readFile(join(directory, 'lock'), 'utf8'))).toMatchObject({ pid: process.pid });
  });

  it('is taken over from an earlier process that had the same pid', async () => {
    const directory = await temporaryDirectory();
    await writeFile(join(directory, 'lock'), JSON.stringify({ pid: process.pid, started: '1' }));
    await lockDirectory(directory);
  });

  it.skipIf(process.platform !== 'linux')(
    'is taken over from a gone process whose pid another one has now (start times from /proc)',
    async () => {
      const directory = await temporaryDirectory();
      const { pid } = await livingProcess();
      await writeFile(join(directory, 'lock'), JSON.stringify({ pid, started: '1' }));
      await lockDirectory(directory);
    },
  );

  it.each(['', '{', '{"pid":-1}', '{"pid":"1"}', 'null'])('is taken over when it says %j', async (text) => {
    const directory = await temporaryDirectory();
    await writeFile(join(directory, 'lock'), text);
    await lockDirectory(directory);
  });
});
