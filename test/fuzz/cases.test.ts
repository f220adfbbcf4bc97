/**
 * What the fuzzers once found, replayed; and that they find what is wrong.
 */

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDecoder } from '../../src/decode/decoder.ts';
import type { DecodeOutcome, DecoderOptions, FlowSink } from '../../src/decode/types.ts';
import { v5 } from '../support/datagrams.ts';
import { LIMITS, NOW } from '../support/decoding.ts';
import { createDecoderTarget } from './decoder-target.ts';
import { tryCapture, tryFlowLog, tryNative, trySequences, trySnapshot } from './file-targets.ts';
import { CASES_DIR, type Case, caseSchema, Finding, keepFinding } from './finding.ts';
import { createRandom } from './random.ts';

const OPTIONS: DecoderOptions = { templateScope: 'address', limits: LIMITS };

let directory = '';
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'rogue-smtp-cases-'));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

function casesIn(from: string): (readonly [string, Case])[] {
  return readdirSync(from)
    .filter((name) => name.endsWith('.json'))
    .map((name) => [name, caseSchema.parse(JSON.parse(readFileSync(join(from, name), 'utf8')))] as const);
}

async function replay(found: Case): Promise<void> {
  if (found.target === 'decoder') {
    const target = createDecoderTarget(OPTIONS, 7, found.seed);
    for (const input of found.inputs) target.feed(input);
    target.finish();
    return;
  }
  const bytes = Buffer.from(found.hex, 'hex');
  if (found.target === 'capture') await tryCapture(bytes, join(directory, 'case'), found.seed);
  if (found.target === 'flow-log') await tryFlowLog(bytes, join(directory, 'case'), found.seed);
  if (found.target === 'native') tryNative(bytes, found.seed);
  if (found.target === 'snapshot') trySnapshot(bytes, found.seed);
  if (found.target === 'sequences') trySequences(bytes, found.seed);
}

describe('cases of the fuzzers', () => {
  const cases = casesIn(CASES_DIR);
  it.each(cases)('%s does what it should', (_, found) => replay(found));

  it('are kept in a form that can be replayed', async () => {
    const inputs = [{ exporter: 2, port: 2055, at_ms: NOW, hex: v5([{}]).toString('hex') }];
    keepFinding(new Finding({ target: 'decoder', reason: 'an example', seed: 5, inputs }), `${directory}/`);
    const [kept] = casesIn(directory);
    expect(kept?.[1]).toMatchObject({ target: 'decoder', inputs });
    await replay(kept?.[1] as Case);
  });
});

describe('the decoder target', () => {
  /** The real decoder with a fault put in; `fault` changes what it answers. */
  const broken = (fault: (outcome: DecodeOutcome, sink: FlowSink) => DecodeOutcome) => {
    return (options: DecoderOptions, sink: FlowSink) => {
      const decoder = createDecoder(options, sink);
      const decode = decoder.decode.bind(decoder);
      decoder.decode = (bytes, ...rest) => fault(decode(bytes, ...rest), sink);
      return decoder;
    };
  };

  it.each([
    ['tells a flow too few', broken((outcome) => ({ ...outcome, flows: Math.max(0, outcome.flows - 1) }))],
    ['forgets a drop', broken((outcome) => ({ ...outcome, dropped: 0 }))],
    [
      'writes a row that it does not count',
      broken((outcome, sink) => {
        sink.batch.length++;
        return outcome;
      }),
    ],
    [
      'throws',
      broken(() => {
        throw new Error('a defect');
      }),
    ],
  ])('finds a decoder that %s', (_, create) => {
    expect(() => {
      const target = createDecoderTarget(OPTIONS, 64, 1, create);
      target.feed({ exporter: 2, port: 2055, at_ms: NOW, hex: 'ffff00000000' });
    }).toThrow(Finding);
  });

  it('finds a good exporter whose templates do not stay', () => {
    const limits = { ...LIMITS, templatesPerExporter: 0 };
    expect(() => createDecoderTarget({ ...OPTIONS, limits }, 64, 1)).toThrow(
      'the good exporter was not decoded',
    );
  });
});

it('the same seed gives the same chances', () => {
  const draw = (seed: number) => {
    const random = createRandom(seed);
    return Array.from({ length: 20 }, () => random.below(1000));
  };
  expect(draw(7)).toEqual(draw(7));
  expect(draw(7)).not.toEqual(draw(8));
});
