/**
 * What `store-crash.test.ts` kills: a stream, an engine and a writer as in `rogue-smtp run`, fed with numbered flows.
 *
 * Arguments: data directory, number of batches, whether to wait for the store at the end. Prints `engine PID` when the
 * engine is up and `accepted N` for each batch (number N) that the stream has taken.
 */

import { join } from 'node:path';
import { encodeNative } from '../../src/flow/native.ts';
import { createEmbeddedEngine } from '../../src/store/embedded/engine.ts';
import { migrate } from '../../src/store/migrate.ts';
import { createStoreWriter } from '../../src/store/writer.ts';
import { createLocalStream } from '../../src/stream/local/local-stream.ts';
import { flowBatch, RETENTION, silentLog } from '../store/fixture.ts';

const [directory = '', from = '0', to = '0'] = process.argv.slice(2);
const ROWS = 100;

async function run(): Promise<void> {
  const stream = createLocalStream({
    directory: join(directory, 'stream'),
    maxBytesPerStream: 1024 ** 3,
    now: Date.now,
    log: silentLog,
    streams: { flows: { sealAgeMs: 50, sealRows: 500 } },
  });
  const engine = createEmbeddedEngine({
    directory: join(directory, 'store'),
    database: 'rogue_smtp',
    log: silentLog,
  });
  const writer = createStoreWriter({
    stream,
    engine,
    log: silentLog,
    archive: 'all',
    directory,
    database: 'rogue_smtp',
  });
  await stream.start();
  await engine.start();
  await migrate(engine, { database: 'rogue_smtp', retention: RETENTION });
  console.log(`engine ${engine.pid()}`);
  await writer.start();
  for (let n = Number(from); n < Number(to); n++) {
    const rows = Array.from({ length: ROWS }, (_, i) => ({
      at: Date.now(),
      src: '10.0.0.1',
      dst: '192.0.2.1',
      srcPort: 1024 + (n % 60_000),
      dstPort: 25,
      sequence: n * ROWS + i,
    }));
    const { accepted } = await stream.publish('flows', [
      { key: '', id: `batch-${n}`, value: encodeNative(flowBatch(rows)), rows: ROWS },
    ]);
    if (accepted === ROWS) console.log(`accepted ${n}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  const drained = await writer.stop(60_000);
  await engine.stop();
  await stream.stop();
  console.log(`drained ${drained}`);
}

await run();
