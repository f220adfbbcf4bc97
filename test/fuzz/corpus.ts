/**
 * What byte mutation begins with: every datagram and every file of the shipped captures, and of VECTORS_DIR if present.
 */

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { readPcap } from '../support/pcap.ts';
import { haveVectors, VECTORS_DIR } from '../support/vectors.ts';

const FIXTURES = fileURLToPath(new URL('../fixtures/captures', import.meta.url));

function pcaps(): string[] {
  return [FIXTURES, ...(haveVectors ? [VECTORS_DIR] : [])]
    .filter((directory) => existsSync(directory))
    .flatMap((directory) =>
      readdirSync(directory, { recursive: true, encoding: 'utf8' }).map((path) => `${directory}/${path}`),
    )
    .filter((path) => path.endsWith('.pcap') && !path.endsWith('/traffic.pcap'))
    .sort();
}

/** UDP payloads, those of one capture one after the other, so that templates come before their data. */
export function corpusDatagrams(): readonly Buffer[] {
  return pcaps().flatMap((path) => readPcap(path).map(({ payload }) => payload));
}

/** Whole files, the larger ones cut. */
export function corpusFiles(): readonly Buffer[] {
  return pcaps().map((path) => readFileSync(path).subarray(0, 16_384));
}
