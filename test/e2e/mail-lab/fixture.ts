/** Puts what the lab has made into a directory as a fixture: compressed captures, the truth, the configuration of a replay. */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { TruthCase } from './truth.ts';

export function writeFixture(
  from: string,
  captures: readonly string[],
  truth: readonly TruthCase[],
  to: string,
): void {
  mkdirSync(to, { recursive: true });
  // Node writes no time into the header: the same input gives the same bytes.
  const pack = (bytes: Uint8Array) => gzipSync(bytes, { level: 9 });
  for (const name of captures)
    writeFileSync(join(to, `${name}.pcap.gz`), pack(readFileSync(join(from, `${name}.pcap`))));
  const lines = truth.map((each) => JSON.stringify(each)).join(',\n');
  writeFileSync(join(to, 'truth.json.gz'), pack(Buffer.from(`[\n${lines}\n]\n`)));
  const senders = truth.filter(({ kind }) => kind === 'authorised').map(({ host }) => `"${host}"`);
  writeFileSync(join(to, 'rogue-smtp.yaml'), configuration(senders));
}

/** Only the declared servers may send. Nothing caps the blocks, since over a hundred hosts mail within minutes. */
function configuration(senders: readonly string[]): string {
  const declared = `senders:
  - { name: mail, hosts: [${senders.join(', ')}], owner: postmaster, reason: "the mail servers of the lab" }
`;
  return `# What the captures of the mail lab are replayed with; written by the lab.
networks:
  internal: [10.77.0.0/16, "2001:db8:77::/64"]
${senders.length > 0 ? declared : ''}block:
  mode: publish
  # Over a hundred hosts mail within minutes: no cap may hide a verdict.
  max_entries: 1000
  max_new_per_hour: 1000
  max_change: 1000
`;
}
