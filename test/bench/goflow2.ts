/**
 * goflow2, built from the Go module proxy into the benchmark's own folder; nothing of it stays behind.
 *
 * Its cheapest configuration that still decodes every flow: one socket, protobuf, written to /dev/null.
 */

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { missingTools } from '../support/requirements.ts';

const MODULE = 'github.com/netsampler/goflow2/v2/cmd/goflow2@v2.2.6';
const BUILD_MS = 600_000;

export type Goflow2 =
  | { readonly kind: 'built'; readonly program: string }
  | { readonly kind: 'missing'; readonly why: string };

export async function buildGoflow2(directory: string): Promise<Goflow2> {
  if (missingTools('go').length > 0) return { kind: 'missing', why: 'go is not installed' };
  const bin = join(directory, 'go-bin');
  const environment = {
    ...process.env,
    GOBIN: bin,
    GOPATH: join(directory, 'go'),
    GOCACHE: join(directory, 'go-cache'),
    // Else its files cannot be removed.
    GOFLAGS: '-modcacherw',
    GOTOOLCHAIN: 'local',
  };
  try {
    await promisify(execFile)('go', ['install', MODULE], { env: environment, timeout: BUILD_MS });
    return { kind: 'built', program: join(bin, 'goflow2') };
  } catch {
    return { kind: 'missing', why: 'the module proxy is not reachable' };
  }
}

/** Both of its UDP protocols at their port; its HTTP server wherever there is room. */
export function goflow2Command(
  program: string,
  port: number,
  sflow: boolean,
  directory: string,
): readonly string[] {
  const listen = `${sflow ? 'sflow' : 'netflow'}://127.0.0.1:${port}?count=1`;
  return command(program, listen, directory, ['-transport', 'file', '-transport.file', '/dev/null']);
}

/** NetFlow at the port, into a topic: a message a flow, in batches of at most a second, LZ4 as ours. */
export function goflow2ToKafka(
  program: string,
  port: number,
  directory: string,
  { brokers, topic }: { readonly brokers: readonly string[]; readonly topic: string },
): readonly string[] {
  const settings = { brokers: brokers.join(','), topic, compression: 'lz4', flushfreq: '1s' };
  return command(program, `netflow://127.0.0.1:${port}?count=1`, directory, [
    '-transport',
    'kafka',
    ...Object.entries(settings).flatMap(([name, value]) => [`-transport.kafka.${name}`, value]),
  ]);
}

function command(
  program: string,
  listen: string,
  directory: string,
  sink: readonly string[],
): readonly string[] {
  const format = ['-produce', 'sample', '-format', 'bin'];
  const templates = ['-templates.path', join(directory, 'templates')];
  return [
    program,
    '-listen',
    listen,
    ...format,
    ...sink,
    '-loglevel',
    'error',
    '-addr',
    '127.0.0.1:0',
    ...templates,
  ];
}
